import type { Message as MessageRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { globalIdIn, idOf } from '../../graphql/ids.ts'
import { eventAsItIs } from '../../graphql/shared.ts'
import { FinishReason, MessageStatus } from './schema.ts'

type ReplyPiece = {
  cursor: string
  messageId: string
  offset: number
  text: string
  status: MessageRow['status']
  finishReason: MessageRow['finishReason']
}

const ReplyPieceRef = builder.objectRef<ReplyPiece>('ReplyText').implement({
  description: 'A piece of the text of one reply. A piece with `offset: 0` replaces whatever the reader has.',
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor', description: 'Follow on from here.' }),
    messageId: t.id({
      description: 'The reply.',
      ...globalIdIn('messageId', 'Message'),
    }),
    offset: t.exposeInt('offset', { description: 'The length of the text before it, in UTF-16 units.' }),
    text: t.exposeString('text', {
      description: 'The text that comes next; may be empty in the last piece.',
    }),
    status: t.expose('status', {
      type: MessageStatus,
      description: 'STREAMING until the last piece, which tells how the reply ended.',
    }),
    finishReason: t.expose('finishReason', {
      type: FinishReason,
      nullable: true,
      description: 'Why it ended where it ends; null before.',
    }),
  }),
})

builder.subscriptionField('tokenStream', (t) =>
  t.field({
    type: ReplyPieceRef,
    description: 'The text of one reply: what there is at once, then what comes; ends with the reply.',
    args: {
      messageId: t.arg.id({ required: true, description: 'The reply.' }).validate(idOf('Message')),
      after: t.arg({ type: 'Cursor', description: 'The cursor of the last piece that the reader has.' }),
    },
    subscribe: (_root, { messageId, after }, context) =>
      context.services.live.followReply(viewerOf(context), messageId, after),
    extensions: eventAsItIs,
    resolve: (piece) => piece,
  }),
)
