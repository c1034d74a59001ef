import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import type { Removed } from './revisions.ts'
import { modelOptions, sendErrors, sentPayload } from './schema-sending.ts'

const EditMessagePayload = sentPayload(
  'EditMessagePayload',
  'The new version is stored and its reply on the way.',
)

builder.mutationField('editMessage', (t) =>
  t.fieldWithInput({
    type: EditMessagePayload,
    description:
      'Changes a user message, for its author and the owner of the session. A new version goes to the end of the ' +
      'conversation and is answered; the old one and all that followed are replaced: kept and readable, but no ' +
      'longer part of the conversation. What was still being answered there is cancelled.',
    errors: sendErrors,
    typeOptions: { description: 'What to change.' },
    argOptions: { description: 'What to change.' },
    input: {
      messageId: t.input
        .id({ required: true, description: 'A user message of the conversation.' })
        .validate(idOf('Message')),
      content: t.input.string({
        required: true,
        description: 'The new text, 1 to 10,000 characters (CHAT_MESSAGE_MAX_LENGTH).',
      }),
      clientId: t.input.string({
        description:
          'A key that the client makes up: repeated with the same content it gives the same version and run.',
      }),
      ...actingFields(t.input),
    },
    resolve: (_root, { input }, context) =>
      context.services.revisions.edit(viewerOf(context), input, context.gone?.()),
  }),
)

const RegenerateMessagePayload = sentPayload('RegenerateMessagePayload', 'A new reply is on the way.')

builder.mutationField('regenerateMessage', (t) =>
  t.fieldWithInput({
    type: RegenerateMessagePayload,
    description:
      'Has a user message answered anew. The old reply and all that followed are replaced, as by an edit; a reply ' +
      'that is still being written is cancelled.',
    errors: sendErrors,
    typeOptions: { description: 'What to answer anew, and how.' },
    argOptions: { description: 'What to answer anew, and how.' },
    input: {
      messageId: t.input
        .id({ required: true, description: 'A reply of the conversation.' })
        .validate(idOf('Message')),
      ...modelOptions(t.input),
      clientId: t.input.string({
        description:
          'A key that the client makes up: repeated with the same input it gives the same reply and run.',
      }),
      ...actingFields(t.input),
    },
    resolve: (_root, { input }, context) =>
      context.services.revisions.regenerate(viewerOf(context), input, context.gone?.()),
  }),
)

const DeleteMessagePayload = builder.objectRef<Removed>('DeleteMessagePayload').implement({
  description: 'The message is erased.',
  fields: (t) => ({
    deletedMessageIds: t.idList({
      description: 'The message and what was erased with it.',
      resolve: ({ messageIds }) => messageIds.map((id) => encodeId('Message', id)),
    }),
    session: t.prismaField({
      type: 'Session',
      description: 'The session, as it is now.',
      resolve: (_query, { session }) => session,
    }),
  }),
})

builder.mutationField('deleteMessage', (t) =>
  t.fieldWithInput({
    type: DeleteMessagePayload,
    description:
      'Erases a message for good, for its author and the owner of the session; with it go its earlier versions, the ' +
      'results of its tool calls, its run and a title that was cut from it. A reply that is still being written is ' +
      'cancelled first.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'The message to erase.' },
    argOptions: { description: 'The message to erase.' },
    input: {
      messageId: t.input.id({ required: true, description: 'The message.' }).validate(idOf('Message')),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.revisions.remove(await actorOf(context, input), input.messageId, context.gone?.()),
  }),
)
