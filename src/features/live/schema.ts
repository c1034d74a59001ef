import type { Message as MessageRow } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { globalIdIn, idOf } from '../../graphql/ids.ts'
import { eventAsItIs, sameForAll } from '../../graphql/shared.ts'
import type { Placed, SessionSnapshot, ToldEvent } from './events.ts'
import { RunEvent, SessionEvent, SnapshotReason } from './schema-feeds.ts'

type Told<Type extends ToldEvent['type']> = Placed<Extract<ToldEvent, { type: Type }>>

builder.objectRef<SessionSnapshot>('SessionSnapshot').implement({
  description: 'The state of the session at this place of the feed.',
  interfaces: [SessionEvent],
  fields: (t) => ({
    reason: t.expose('reason', { type: SnapshotReason, description: 'Why it is sent.' }),
    session: t.prismaField({
      type: 'Session',
      description: 'The session.',
      extensions: sameForAll,
      resolve: (_query, { session }) => session,
    }),
    messages: t.prismaField({
      type: ['Message'],
      description:
        'Its last 50 messages and earlier replies that are still to end, oldest first; each with all of its text so far.',
      extensions: sameForAll,
      resolve: (_query, { messages }) => messages,
    }),
  }),
})

/** An event that carries a message as it was stored. */
const messageEvent = (name: 'MessageAdded' | 'MessageUpdated', description: string, what: string) =>
  builder.objectRef<Told<'MessageAdded' | 'MessageUpdated'>>(name).implement({
    description,
    interfaces: [SessionEvent, RunEvent],
    fields: (t) => ({
      message: t.prismaField({
        type: 'Message',
        description: what,
        extensions: sameForAll,
        resolve: (_query, event) => event.message,
      }),
    }),
  })

messageEvent(
  'MessageAdded',
  'A message was stored; for a reply, before its first word.',
  'The message, as it was added.',
)
messageEvent(
  'MessageUpdated',
  'A message changed; for a reply, it ended.',
  'The message, as it is after the change.',
)

builder.objectRef<Told<'MessageRemoved'>>('MessageRemoved').implement({
  description:
    'A message is no longer part of the conversation: it was deleted, or an edit or a regeneration replaced it or ' +
    'what stood before it. What takes its place follows as MessageAdded.',
  interfaces: [SessionEvent, RunEvent],
  fields: (t) => ({
    messageId: t.id({
      description: 'The message that left.',
      ...globalIdIn('messageId', 'Message'),
    }),
  }),
})

builder.objectRef<Told<'TextDelta'>>('TextDelta').implement({
  description: 'More text of a reply.',
  interfaces: [SessionEvent, RunEvent],
  fields: (t) => ({
    messageId: t.id({
      description: 'The reply.',
      ...globalIdIn('messageId', 'Message'),
    }),
    offset: t.exposeInt('offset', {
      description: 'The length of the text before it, in UTF-16 units: a check that nothing is missing.',
    }),
    text: t.exposeString('text', {
      description: 'The text that comes next.',
    }),
  }),
})

builder.objectRef<Told<'ToolCallStarted'>>('ToolCallStarted').implement({
  description: 'The model begins to call a tool.',
  interfaces: [SessionEvent, RunEvent],
  fields: (t) => ({
    messageId: t.id({
      description: 'The reply.',
      ...globalIdIn('messageId', 'Message'),
    }),
    toolCallId: t.exposeString('toolCallId', {
      description: 'The call.',
    }),
    name: t.exposeString('name', { description: 'The tool.' }),
  }),
})

builder.objectRef<Told<'ToolCallDelta'>>('ToolCallDelta').implement({
  description: 'More of the arguments of a tool call.',
  interfaces: [SessionEvent, RunEvent],
  fields: (t) => ({
    messageId: t.id({
      description: 'The reply.',
      ...globalIdIn('messageId', 'Message'),
    }),
    toolCallId: t.exposeString('toolCallId', {
      description: 'The call.',
    }),
    text: t.exposeString('text', {
      description: 'A piece of the arguments as JSON text.',
    }),
  }),
})

builder.objectRef<Told<'ToolCallFinished'>>('ToolCallFinished').implement({
  description: 'A tool call is whole.',
  interfaces: [SessionEvent, RunEvent],
  fields: (t) => ({
    messageId: t.id({
      description: 'The reply.',
      ...globalIdIn('messageId', 'Message'),
    }),
    toolCallId: t.exposeString('toolCallId', {
      description: 'The call.',
    }),
    name: t.exposeString('name', { description: 'The tool.' }),
    arguments: t.expose('arguments', {
      type: 'JSON',
      description: 'Its arguments.',
    }),
  }),
})

type RunEventName = 'RunQueued' | 'RunStarted' | 'RunRequiresAction' | 'RunFinished'

const runEvent = (name: RunEventName, description: string) =>
  builder.objectRef<Told<RunEventName>>(name).implement({
    description,
    interfaces: [SessionEvent, RunEvent],
    fields: (t) => ({
      run: t.prismaField({
        type: 'Run',
        description: 'The run, as it is after this.',
        extensions: sameForAll,
        resolve: (_query, event) => event.run,
      }),
    }),
  })

runEvent(
  'RunQueued',
  'A run was asked for; RunStarted follows when its turn has come, which may be at once. Or one that waits has another ' +
    'place in the line now.',
)
runEvent(
  'RunStarted',
  'The turn of a run has come, or it goes on: with the results of its tool calls, or on another server where its own ' +
    'was gone before the first word.',
)
runEvent('RunRequiresAction', 'A run waits for the results of its tool calls.')
runEvent('RunFinished', 'A run has ended; its status tells how.')

builder.objectRef<Told<'SessionUpdated'>>('SessionUpdated').implement({
  description: 'The session itself changed: its settings, title or counters.',
  interfaces: [SessionEvent],
  fields: (t) => ({
    session: t.prismaField({
      type: 'Session',
      description: 'The session, as it is after the change.',
      extensions: sameForAll,
      resolve: (_query, event) => event.session,
    }),
  }),
})

builder.objectRef<Told<'MemoryChanged'>>('MemoryChanged').implement({
  description: 'Something is remembered in the session, anew or otherwise than before, or forgotten.',
  interfaces: [SessionEvent],
  fields: (t) => ({
    key: t.exposeString('key', { description: 'The key.' }),
    memory: t.prismaField({
      type: 'Memory',
      nullable: true,
      description: 'What is under the key now; null where it was deleted.',
      extensions: sameForAll,
      resolve: (_query, event) => event.memory,
    }),
  }),
})

builder.objectRef<Told<'SessionDeleted'>>('SessionDeleted').implement({
  description: 'The session was deleted; the feed ends with this.',
  interfaces: [SessionEvent],
  fields: (t) => ({
    sessionId: t.id({
      description: 'The session that was deleted.',
      ...globalIdIn('sessionId', 'Session'),
    }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  cursor: t.field({
    type: 'Cursor',
    description:
      'The place of the live feed that matches this read: `sessionEvents(after: cursor)` misses nothing and repeats nothing. ' +
      'With `session(id)` that holds for the text of a streaming reply, too.',
    // Where it was not read with the session it is asked of the log, for each by itself.
    complexity: { field: 5 },
    resolve: (session, _args, context) => context.services.live.cursorOf(session),
  }),
}))

builder.subscriptionFields((t) => ({
  sessionEvents: t.field({
    type: SessionEvent,
    description:
      'The whole live feed of a session, across its runs. With `after`: every event since, once and in order, then live. ' +
      'Without it, or where history does not reach back, a snapshot first.',
    args: {
      sessionId: t.arg.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      after: t.arg({
        type: 'Cursor',
        description: 'The cursor of the last event that the reader has, or of a read session.',
      }),
    },
    subscribe: (_root, { sessionId, after }, context) =>
      context.services.live.share(viewerOf(context), sessionId, after),
    extensions: eventAsItIs,
    resolve: (delivery) => delivery,
  }),
  messageAdded: t.prismaField({
    type: 'Message',
    description: 'New messages of a session, from now on.',
    args: { sessionId: t.arg.id({ required: true, description: 'The session.' }).validate(idOf('Session')) },
    subscribe: (_root, { sessionId }, context) =>
      context.services.live.followMessages(viewerOf(context), sessionId),
    extensions: eventAsItIs,
    resolve: (_query, message) => message as MessageRow,
  }),
}))
