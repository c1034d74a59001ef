import type { Viewer } from '../auth/viewer.ts'
import type { builder } from './builder.ts'
import { type Context, viewerOf } from './context.ts'
import { idOf } from './ids.ts'

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

/** Fields of an input: the user whom a service token acts for; `actorOf` obeys them, or the service behind the mutation. */
export const actingFields = (t: InputFields) => ({
  userId: t
    .id({
      description:
        'The user whom a service token does this for: it is done as if that user did it, with the rights that it has here, ' +
        'and counts as its own. Only service tokens may name another.',
    })
    .validate(idOf('User').nullish()),
  externalUserId: t.string({ description: 'The same by the `sub` of the tokens of the user.' }),
})

type Named = { userId?: string | null | undefined; externalUserId?: string | null | undefined }

/** Who does what a mutation asks for: the viewer, or the user whom a service token names. */
export const actorOf = (context: Context, named: Named): Promise<Viewer> =>
  context.services.accounts.actingFor(viewerOf(context), named)

/** Fields of an input that makes sessions: whose they are; `ownerOf` obeys them. */
export const ownerFields = (t: InputFields) => ({
  userId: t
    .id({ description: 'The owner, where an admin or a service token acts for somebody else.' })
    .validate(idOf('User').nullish()),
  externalUserId: t.string({
    description: 'The same by the `sub` of the tokens of the owner, who may not have signed in yet.',
  }),
})
