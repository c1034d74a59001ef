/** What a reader saw, in its order, just as it came: nothing is dropped or mended before it is written down. */
export type Observation =
  | { reader: string; type: 'attached'; after: string | null }
  | { reader: string; type: 'event'; event: FeedEvent; atMs: number }

// biome-ignore lint/suspicious/noExplicitAny: the checker asks for the fields of each kind by its name
export type FeedEvent = { __typename: string; cursor: string } & Record<string, any>

/** A send that was acknowledged, as the server put it. */
export type Acknowledged = {
  clientId: string
  sessionId: string
  content: string
  userMessageId: string
  assistantMessageId: string
  runId: string
}

export type StoredMessage = {
  id: string
  seq: number
  role: string
  status: string
  content: string | null
  clientId: string | null
}

/** A session as the API gives it when all is over. */
export type StoredSession = { id: string; messages: StoredMessage[]; runs: StoredRun[] }

export type StoredRun = { id: string; status: string; finishedAt: string | null; userMessageId: string }
