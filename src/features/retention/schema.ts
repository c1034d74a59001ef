import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import type { Receipt } from './erasure.ts'

const EraseUserPayload = builder.objectRef<Receipt>('EraseUserPayload').implement({
  description: 'The person is gone. The numbers are the receipt: what this call erased.',
  fields: (t) => ({
    sessions: t.exposeInt('sessions', { description: 'Sessions that it owned.' }),
    messages: t.exposeInt('messages', {
      description: "Messages of those, and in others' sessions its own and the replies to them.",
    }),
    runs: t.exposeInt('runs', { description: 'Runs of those, and runs that it asked for.' }),
    participations: t.exposeInt('participations', { description: "Others' sessions that it took part in." }),
    templates: t.exposeInt('templates', { description: 'Templates that it wrote.' }),
    memories: t.exposeInt('memories', { description: 'What was remembered of it across sessions.' }),
    documents: t.exposeInt('documents', { description: 'Documents that it owned.' }),
    usageRecords: t.exposeInt('usageRecords', {
      description: 'Records of usage that stay, under an id that stands for nobody.',
    }),
  }),
})

builder.mutationField('eraseUser', (t) =>
  t.fieldWithInput({
    type: EraseUserPayload,
    authScopes: { admin: true },
    description:
      'Erases a person for good, for admins: its sessions with all that is in them, what it wrote elsewhere with the ' +
      'replies to it, its templates, memories, documents and record. Running replies are cancelled. Usage stays ' +
      'counted, anonymously. ' +
      'Safe to repeat where it failed half-way. A token that is still valid would make the person known again.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'Whom to erase.' },
    argOptions: { description: 'Whom to erase.' },
    input: {
      userId: t.input.id({ required: true, description: 'The person.' }).validate(idOf('User')),
    },
    resolve: (_root, { input }, context) =>
      context.services.erasure.eraseUser(viewerOf(context), input.userId),
  }),
)
