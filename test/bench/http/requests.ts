import { encodeId } from '../../../src/lib/ids.ts'

/** Who and what the requests of one run go round over. */
export type Sample = {
  users: { id: string; externalId: string }[]
  sessions: { id: string; ownerExternalId: string }[]
}
export type Work = 'Q1' | 'Q2' | 'Q3' | 'M1'
export type Request = { body: string; headers: Record<string, string> }

const node = 'id title messageCount createdAt updatedAt agent { name }'
const message = 'id seq role content createdAt'
const content = 'A message of an ordinary length, as people send them all day long. '.repeat(3)

const plainQueries: Record<Work, string> = {
  Q1: `query ($userId: ID!) { sessions(userId: $userId, first: 10) { edges { node { ${node} } } pageInfo { hasNextPage } totalCount } }`,
  Q2: `query ($sessionId: ID!) { session(id: $sessionId) { ${node} messages(last: 50) { ${message} } } }`,
  Q3: `query ($userId: ID!) { sessions(userId: $userId, first: 10) { edges { node { ${node} messages(last: 3) { ${message} } } } } }`,
  M1: `mutation ($sessionId: ID!, $content: String!) { addMessage(sessionId: $sessionId, content: $content) { ${message} } }`,
}

const mercuriusQueries: Record<Work, string> = {
  ...plainQueries,
  Q1: `query ($userId: ID!) { sessions(userId: $userId, first: 10) { nodes { ${node} } pageInfo { hasNextPage } totalCount } }`,
  Q3: `query ($userId: ID!) { sessions(userId: $userId, first: 10) { nodes { ${node} messages(last: 3) { ${message} } } } }`,
}

const parleyQueries: Record<Work, string> = {
  Q1: `query { sessions(first: 10) { nodes { ${node} } pageInfo { hasNextPage } totalCount } }`,
  Q2: `query ($sessionId: ID!) { session(id: $sessionId) { ${node} messages(last: 50) { nodes { ${message} } } } }`,
  Q3: `query { sessions(first: 10) { nodes { ${node} messages(last: 3) { nodes { ${message} } } } } }`,
  M1: `mutation ($sessionId: ID!, $content: String!) {
    addMessages(input: { sessionId: $sessionId, messages: [{ role: USER, content: $content }] }) {
      ... on AddMessagesPayload { messages { ${message} } }
      ... on Error { code message }
    }
  }`,
}

const json = { 'content-type': 'application/json' }

function byUserOrSession(work: Work, sample: Sample, at: number) {
  const session = sample.sessions[at % sample.sessions.length]
  const user = sample.users[at % sample.users.length]
  if (!session || !user) throw new Error('The sample is empty.')
  return { user, session, isByUser: work === 'Q1' || work === 'Q3' }
}

/** The requests of a peer, going round over the sample. `sign` makes a token where the peer asks for one. */
export function requestsOf(
  peer: string,
  work: Work,
  sample: Sample,
  sign: (externalId: string) => string,
): Request[] {
  return sample.sessions.map((_, at) => {
    const { user, session, isByUser } = byUserOrSession(work, sample, at)
    if (peer === 'sql')
      return {
        headers: json,
        body: JSON.stringify({ work, userId: user.id, sessionId: session.id, content }),
      }
    if (peer === 'parley') {
      const externalId = isByUser ? user.externalId : session.ownerExternalId
      const variables = isByUser
        ? {}
        : { sessionId: encodeId('Session', session.id), ...(work === 'M1' ? { content } : {}) }
      const headers = { ...json, authorization: `Bearer ${sign(externalId)}` }
      return { headers, body: JSON.stringify({ query: parleyQueries[work], variables }) }
    }
    const query = (peer === 'mercurius' ? mercuriusQueries : plainQueries)[work]
    const variables = isByUser
      ? { userId: user.id }
      : { sessionId: session.id, ...(work === 'M1' ? { content } : {}) }
    return { headers: json, body: JSON.stringify({ query, variables }) }
  })
}
