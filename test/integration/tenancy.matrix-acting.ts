import { expect } from 'vitest'
import type { Case, Ids } from './tenancy.matrix.ts'

/** A mutation that a service token does for a user, who is somebody else's; others may name nobody else at all. */
export function acting(name: string, input: (ids: Ids, ownSession: string) => object): Case {
  const refusedWith = (code: string) => ({ data: { [name]: expect.objectContaining({ code }) } })
  return {
    operation: `mutation ($input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!) {
      ${name}(input: $input) { __typename ... on Error { code message } } }`,
    variables: (ids, ownSession) => ({ input: { ...input(ids, ownSession), userId: ids.User } }),
    refused: refusedWith('FORBIDDEN'),
    exceptFor: { role: 'SERVICE', refused: refusedWith('NOT_FOUND') },
  }
}

/** What else a service token does for a user: who that is is looked at before all else. */
export const acted: Record<string, Case> = Object.fromEntries(
  Object.entries({
    cancelRun: (ids: Ids) => ({ runId: ids.Run }),
    cancelSessionRuns: (_ids: Ids, sessionId: string) => ({ sessionId }),
    moveQueuedRun: (ids: Ids) => ({ runId: ids.Run, position: 0 }),
    submitToolResults: (ids: Ids) => ({ runId: ids.Run, results: [] }),
    complete: () => ({ messages: [{ role: 'USER', content: 'Hello' }] }),
    executeTemplate: (ids: Ids) => ({ templateId: ids.Template }),
    deleteMessage: (ids: Ids) => ({ messageId: ids.Message }),
    setTyping: (_ids: Ids, sessionId: string) => ({ sessionId, isTyping: true }),
    updateSession: (_ids: Ids, sessionId: string) => ({ sessionId, title: 'Another' }),
    deleteSession: (_ids: Ids, sessionId: string) => ({ sessionId }),
    restoreSession: (_ids: Ids, sessionId: string) => ({ sessionId }),
    purgeSession: (_ids: Ids, sessionId: string) => ({ sessionId }),
    exportSession: (_ids: Ids, sessionId: string) => ({ sessionId }),
    createDocument: () => ({ title: 'A document', text: 'Hello' }),
    updateDocument: (ids: Ids) => ({ documentId: ids.Document }),
    deleteDocument: (ids: Ids) => ({ documentId: ids.Document }),
    createTemplate: () => ({ name: 'A template' }),
    updateTemplate: (ids: Ids) => ({ templateId: ids.Template }),
    deleteTemplate: (ids: Ids) => ({ templateId: ids.Template }),
  }).map(([name, input]) => [`Mutation.${name}`, acting(name, input)]),
)
