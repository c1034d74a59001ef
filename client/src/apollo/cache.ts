import { type FieldPolicy, InMemoryCache, type Reference, type StoreObject } from '@apollo/client'
import { possibleTypes } from '../generated/possible-types.ts'
import { mergeBySeq, mergePages } from './merge-pages.ts'

/** Takes what comes as a whole; the cache warns of lists that grow shorter unless told so. */
const replaced: FieldPolicy = { merge: false }
const joined: FieldPolicy = { merge: true }
/** Events leave out what differs between readers: null until somebody has asked for it. */
const nullUntilRead: FieldPolicy = { read: (known: unknown = null) => known }

/** How far a run or message has come; an answer that was overtaken by the feed must not set it back. */
const stages: Readonly<Record<string, number>> = { QUEUED: 0, RUNNING: 1, STREAMING: 1, REQUIRES_ACTION: 2 }
const stageOf = (status: string) => stages[status] ?? 3
const forward: FieldPolicy<string> = {
  merge: (known, incoming) => (known && stageOf(known) === 3 && stageOf(incoming) < 3 ? known : incoming),
}

/** Text only grows: what is shorter and begins alike was read before the words that the feed has brought. */
const growing: FieldPolicy<string | null> = {
  merge: (known, incoming) => (known?.startsWith(incoming ?? '') ? known : incoming),
}

/** Complete calls of tools only get more, likewise. */
const collected: FieldPolicy<readonly StoreObject[]> = {
  merge(known = [], incoming, { readField }) {
    const complete = known.filter((call) => readField('arguments', call) !== null)
    return complete.length > incoming.length ? complete : incoming
  },
}

/** Once there is a value, one that was read before is null. */
const kept: FieldPolicy = { merge: (known = null, incoming) => incoming ?? known }

/** Of the same users as before, with what is known of each: those who ask for less must not take it from the others. */
const ofUsers: FieldPolicy<readonly StoreObject[]> = {
  merge(known = [], incoming, { readField, mergeObjects }) {
    const userOf = (each: StoreObject) => readField('id', readField<Reference>('user', each))
    const knownOf = new Map(known.map((each) => [userOf(each), each]))
    return incoming.map((each) => mergeObjects(knownOf.get(userOf(each)) ?? each, each))
  },
}

const pages = (...keyArgs: string[]): FieldPolicy => ({ keyArgs, merge: mergePages })

/**
 * An Apollo cache that knows the schema: objects by their id, pages of a list joined to one list, the text of a reply and
 * what came with it never set back by an answer that the live feed has overtaken.
 */
export function createParleyCache(): InMemoryCache {
  return new InMemoryCache({
    possibleTypes,
    typePolicies: {
      Query: {
        fields: {
          sessions: pages('filter', 'orderBy'),
          search: pages('query', 'filter'),
          documents: pages('filter'),
          memories: pages('scope', 'sessionId', 'userId', 'externalUserId', 'keys', 'prefix'),
          templates: pages(),
          users: pages('search'),
          session: byId('Session'),
          message: byId('Message'),
          run: byId('Run'),
        },
      },
      Session: {
        fields: {
          messages: { keyArgs: ['role', 'status', 'author', 'replaced', 'orderBy'], merge: mergeBySeq },
          memories: pages('keys', 'prefix'),
          forks: pages(),
          usage: joined,
          participants: ofUsers,
          present: replaced,
          typing: replaced,
          queuedRuns: replaced,
          documents: replaced,
          tags: replaced,
          parameters: replaced,
          metadata: replaced,
        },
      },
      Message: {
        fields: {
          status: forward,
          content: growing,
          author: nullUntilRead,
          toolCalls: collected,
          finishReason: kept,
          inputTokens: kept,
          outputTokens: kept,
          cost: kept,
          metadata: replaced,
        },
      },
      Run: {
        fields: {
          status: forward,
          usage: joined,
          pendingToolCalls: replaced,
          parameters: replaced,
          startedAt: kept,
          finishedAt: kept,
          timeToFirstTokenMs: kept,
        },
      },
      // A model makes these ids up, each conversation anew.
      ToolCall: { keyFields: false },
      Agent: { fields: { tools: replaced, parameters: replaced } },
      Viewer: { keyFields: [] },
    },
  })
}

/** Finds what was read in a list also by its id. */
const byId = (__typename: string): FieldPolicy<Reference | null> => ({
  read: (known, { args, toReference }) =>
    known === undefined ? toReference({ __typename, id: args?.id }) : known,
})
