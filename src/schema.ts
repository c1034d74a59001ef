import './graphql/errors.ts'
import './graphql/scalars.ts'
import './features/accounts/schema.ts'
import './features/agents/schema.ts'
import './features/agents/schema-mutations.ts'
import './features/models/schema.ts'
import './features/sessions/schema.ts'
import './features/sessions/schema-mutations.ts'
import './features/messages/schema.ts'
import './features/messages/schema-reply.ts'
import './features/messages/schema-versions.ts'
import './features/runs/schema.ts'
import './features/runs/schema-revisions.ts'
import './features/live/schema.ts'
import './features/search/schema.ts'
import { builder } from './graphql/builder.ts'

/** The contents page of the API: each slice adds its part by being imported. */
export const schema = builder.toSchema()
