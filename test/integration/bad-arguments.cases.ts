import type { Ids } from './tenancy.matrix.ts'

const message = { role: 'USER', content: 'Hello' }
const opening = { role: 'USER', content: 'Hello' }
const call = { id: 'call', name: 'look', arguments: {} }
const tool = { name: 'look', description: 'Looks', parameters: { type: 'object' } }
const range = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }
const inSession = (field: string) => (ids: Ids) => `session(id: "${ids.Session}") { ${field} }`

/** How fields below the roots are reached. */
export const ways: Record<string, (ids: Ids) => string> = {
  'Passage.context': (ids) => `message(id: "${ids.Message}") { citations { passage { HERE } } }`,
  'Session.contextPreview': inSession('HERE'),
  'Session.forks': inSession('HERE'),
  'Session.memories': inSession('HERE'),
  'Session.messages': inSession('HERE'),
}

/** Arguments of each field with which it does what it is for: with one wrong value in them, that is what is wrong. */
export const sound: Record<string, (ids: Ids) => object> = {
  'Passage.context': () => ({}),
  'Session.contextPreview': () => ({ contextPolicy: { kind: 'FULL' } }),
  'Session.forks': () => ({}),
  'Session.memories': () => ({}),
  'Session.messages': () => ({}),

  'Query.agent': (ids) => ({ id: ids.Agent }),
  'Query.auditLog': () => ({}),
  'Query.document': (ids) => ({ id: ids.Document }),
  'Query.documents': () => ({}),
  'Query.memories': () => ({ scope: 'USER' }),
  'Query.message': (ids) => ({ id: ids.Message }),
  'Query.model': () => ({ id: 'demo:chat' }),
  'Query.node': (ids) => ({ id: ids.Session }),
  'Query.nodes': (ids) => ({ ids: [ids.Session] }),
  'Query.retrieve': () => ({ query: 'passage' }),
  'Query.run': (ids) => ({ id: ids.Run }),
  'Query.search': () => ({ query: 'question' }),
  'Query.session': (ids) => ({ id: ids.Session }),
  'Query.sessions': () => ({ orderBy: { field: 'CREATED_AT' } }),
  'Query.template': (ids) => ({ id: ids.Template }),
  'Query.templates': () => ({}),
  'Query.usage': () => range,
  'Query.userStats': () => ({}),
  'Query.users': () => ({}),

  'Subscription.documentChanged': (ids) => ({ id: ids.Document }),
  'Subscription.messageAdded': (ids) => ({ sessionId: ids.Session }),
  'Subscription.modelProgress': () => ({ model: 'demo:chat' }),
  'Subscription.runEvents': (ids) => ({ runId: ids.Run }),
  'Subscription.sessionChanged': () => ({}),
  'Subscription.sessionEvents': (ids) => ({ sessionId: ids.Session }),
  'Subscription.systemStatusChanged': () => ({}),
  'Subscription.tokenStream': (ids) => ({ messageId: ids.Message }),

  'Mutation.addMessages': (ids) => ({ sessionId: ids.Session, messages: [message] }),
  'Mutation.addParticipant': (ids) => ({ sessionId: ids.Session, externalUserId: 'guest', role: 'VIEWER' }),
  'Mutation.cancelRun': (ids) => ({ runId: ids.Run }),
  'Mutation.cancelSessionRuns': (ids) => ({ sessionId: ids.Session }),
  'Mutation.clearMemories': () => ({ scope: 'USER' }),
  'Mutation.complete': () => ({ messages: [message] }),
  'Mutation.createAgent': () => ({ key: 'new', name: 'New' }),
  'Mutation.createDocument': () => ({ title: 'New', text: 'Hello' }),
  'Mutation.createSession': () => ({}),
  'Mutation.createTemplate': () => ({ name: 'New' }),
  'Mutation.deleteDocument': (ids) => ({ documentId: ids.Document }),
  'Mutation.deleteMemory': () => ({ scope: 'USER', key: 'note' }),
  'Mutation.deleteMessage': (ids) => ({ messageId: ids.Message }),
  'Mutation.deleteSession': (ids) => ({ sessionId: ids.Session }),
  'Mutation.deleteTemplate': (ids) => ({ templateId: ids.Template }),
  'Mutation.editMessage': (ids) => ({ messageId: ids.Message, content: 'Hello' }),
  'Mutation.eraseUser': (ids) => ({ userId: ids.User }),
  'Mutation.executeTemplate': (ids) => ({ templateId: ids.Template }),
  'Mutation.exportSession': (ids) => ({ sessionId: ids.Session }),
  'Mutation.forkSession': (ids) => ({ sessionId: ids.Session, atMessageId: ids.Message }),
  'Mutation.getOrCreateSession': () => ({ key: 'new' }),
  'Mutation.importSession': () => ({ content: '{"format":"parley/1","session":{},"messages":[]}' }),
  'Mutation.loadModel': () => ({ model: 'demo:chat' }),
  'Mutation.markRead': (ids) => ({ sessionId: ids.Session }),
  'Mutation.moveQueuedRun': (ids) => ({ runId: ids.Run, position: 1 }),
  'Mutation.pullModel': () => ({ model: 'demo:chat' }),
  'Mutation.purgeSession': (ids) => ({ sessionId: ids.Session }),
  'Mutation.regenerateMessage': (ids) => ({ messageId: ids.Message }),
  'Mutation.removeParticipant': (ids) => ({ sessionId: ids.Session, userId: ids.User }),
  'Mutation.restoreSession': (ids) => ({ sessionId: ids.Session }),
  'Mutation.revokeTokens': (ids) => ({ userId: ids.User }),
  'Mutation.saveMemories': () => ({ scope: 'USER', memories: [{ key: 'new', value: 1 }] }),
  'Mutation.saveMemory': () => ({ scope: 'USER', key: 'new', value: 1 }),
  'Mutation.sendMessage': (ids) => ({ sessionId: ids.Session, content: 'Hello' }),
  'Mutation.setModelDefaults': () => ({ model: 'demo:chat' }),
  'Mutation.setModelPolicy': () => ({ onlyAllowed: false }),
  'Mutation.setQuota': () => ({ scope: 'TENANT', period: 'DAY' }),
  'Mutation.setTyping': (ids) => ({ sessionId: ids.Session, isTyping: true }),
  'Mutation.submitToolResults': (ids) => ({
    runId: ids.Run,
    results: [{ toolCallId: 'call', content: 'seen' }],
  }),
  'Mutation.unloadModel': () => ({ model: 'demo:chat' }),
  'Mutation.updateAgent': (ids) => ({ agentId: ids.Agent }),
  'Mutation.updateDocument': (ids) => ({ documentId: ids.Document }),
  'Mutation.updateParticipant': (ids) => ({ sessionId: ids.Session, userId: ids.User, role: 'VIEWER' }),
  'Mutation.updateSession': (ids) => ({ sessionId: ids.Session }),
  'Mutation.updateTemplate': (ids) => ({ templateId: ids.Template }),
}

/** What an input holds beside the value that is wrong, and a list that is too long. */
export const soundEntries: Record<string, unknown> = {
  AgentToolInput: tool,
  CompletionMessageInput: message,
  ContextPolicyInput: { kind: 'FULL' },
  MemoryInput: { key: 'new', value: 1 },
  MessageInput: message,
  OpeningMessageInput: opening,
  SessionOrder: { field: 'CREATED_AT' },
  ToolCallInput: call,
  ToolResultInput: { toolCallId: 'call', content: 'seen' },
  String: 'word',
}

/** Values that are wrong elsewhere and are right here, as JSON. */
export const fine: Record<string, RegExp> = {
  // Documents may have 10 MiB; documents-upload.test.ts has those that have more.
  'Mutation.createDocument(input.text)': /^"x+"$/,
  'Mutation.updateDocument(input.text)': /^"x+"$/,
  // Beyond the end of the line is its end.
  'Mutation.moveQueuedRun(input.position)': /^2147483647$/,
  // Of any type.
  'Query.node(id)': /^"tenant_/,
  'Query.nodes(ids.0)': /^"tenant_/,
  'Query.nodes(ids)': /^\[\]$/,
  // What names no word finds nothing.
  'Query.search(query)': /^"( \\n )?"$/,
}

/** Of these one is given, not several. */
export const alternatives = [
  ['userId', 'externalUserId'],
  ['text', 'base64'],
  ['id', 'key'],
  ['userId', 'tokenId'],
]
