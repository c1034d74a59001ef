import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'
import { acting } from './tenancy.matrix-acting.ts'

const failed = (field: string, code = 'NOT_FOUND') => ({
  data: { [field]: expect.objectContaining({ code }) },
})
const mutation = (name: string, payload = '') =>
  `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
    ${name}(input: $input) { __typename ... on Error { code message } ${payload} }
  }`
const getOrCreate = mutation(
  'getOrCreateSession',
  '... on GetOrCreateSessionPayload { session { user { externalId } agent { name } template { name } } }',
)
const fork = mutation(
  'forkSession',
  '... on ForkSessionPayload { session { title messages { nodes { content } } } }',
)
const template = '{ template { name systemPrompt openingMessages { content } } }'
const participation = (name: string) =>
  mutation(
    name,
    `... on ${name.charAt(0).toUpperCase()}${name.slice(1)}Payload { user { externalId email } }`,
  )

/** The part of the matrix for making sessions from others, templates, and who takes part. */
export const makingAndSharing: Record<string, Case[]> = {
  'Mutation.getOrCreateSession': [
    {
      operation: getOrCreate,
      variables: (ids) => ({ input: { key: 'stolen', userId: ids.User } }),
      refused: failed('getOrCreateSession'),
      exceptFor: { role: 'USER', refused: failed('getOrCreateSession', 'FORBIDDEN') },
    },
    {
      operation: getOrCreate,
      variables: (ids) => ({ input: { key: 'stolen', agent: ids.Agent } }),
      refused: failed('getOrCreateSession'),
      isSharedInTenant: true,
    },
    {
      operation: getOrCreate,
      variables: (ids) => ({ input: { key: 'stolen', template: ids.Template } }),
      refused: failed('getOrCreateSession'),
      isSharedInTenant: true,
    },
    {
      operation: getOrCreate,
      variables: (ids) => ({ input: { key: 'stolen', documentIds: [ids.Document] } }),
      refused: failed('getOrCreateSession'),
    },
  ],
  'Mutation.forkSession': [
    {
      operation: fork,
      variables: (ids) => ({ input: { sessionId: ids.Session, atMessageId: ids.Message } }),
      refused: failed('forkSession'),
    },
    {
      operation: fork,
      variables: (ids, ownSession) => ({ input: { sessionId: ownSession, atMessageId: ids.Message } }),
      refused: failed('forkSession'),
    },
    acting('forkSession', (ids) => ({ sessionId: ids.Session, atMessageId: ids.Message })),
  ],
  ...Object.fromEntries(
    ['restoreSession', 'purgeSession', 'markRead'].map((name) => [
      `Mutation.${name}`,
      [
        {
          operation: mutation(name),
          variables: (ids) => ({ input: { sessionId: ids.Session } }),
          refused: failed(name),
        } satisfies Case,
        ...(name === 'markRead' ? [acting(name, (_ids, sessionId) => ({ sessionId }))] : []),
      ],
    ]),
  ),
  'Mutation.setTyping': [
    {
      operation: mutation('setTyping', '... on SetTypingPayload { session { title } }'),
      variables: (ids) => ({ input: { sessionId: ids.Session, isTyping: true } }),
      refused: failed('setTyping'),
    },
  ],
  ...Object.fromEntries(
    ['addParticipant', 'updateParticipant', 'removeParticipant'].map((name) => [
      `Mutation.${name}`,
      [true, false].map(
        (isOwn): Case => ({
          operation: participation(name),
          variables: (ids, ownSession) => ({
            input: {
              sessionId: isOwn ? ownSession : ids.Session,
              userId: ids.User,
              ...(name !== 'removeParticipant' && { role: 'OWNER' }),
            },
          }),
          refused: failed(name),
        }),
      ),
    ]),
  ),
  'Query.template': [
    {
      operation: `query ($id: ID!) { template(id: $id) { name systemPrompt openingMessages { content } } }`,
      variables: (ids) => ({ id: ids.Template }),
      refused: { data: { template: null } },
      isSharedInTenant: true,
    },
  ],
  'Query.templates': [
    {
      operation: '{ templates { totalCount nodes { name systemPrompt } } }',
      refused: { data: expect.anything() },
    },
  ],
  'Mutation.createTemplate': [
    {
      operation: mutation('createTemplate', `... on CreateTemplatePayload ${template}`),
      variables: (ids) => ({ input: { name: 'Stolen', agent: ids.Agent } }),
      refused: failed('createTemplate'),
      isSharedInTenant: true,
    },
  ],
  'Mutation.updateTemplate': [
    {
      operation: mutation('updateTemplate', `... on UpdateTemplatePayload ${template}`),
      variables: (ids) => ({ input: { templateId: ids.Template, agent: ids.Agent } }),
      refused: failed('updateTemplate'),
      isSharedInTenant: true,
    },
  ],
  'Mutation.deleteTemplate': [
    {
      operation: mutation('deleteTemplate'),
      variables: (ids) => ({ input: { templateId: ids.Template } }),
      refused: failed('deleteTemplate'),
      isSharedInTenant: true,
    },
  ],
}
