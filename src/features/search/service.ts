import { z } from 'zod'
import { actsForTenant, onVisibleSession, visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Session } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { decodeIdOf } from '../../lib/ids.ts'
import { type OrderKey, type Page, type PageArgs, pageOf, planPage } from '../../lib/paging.ts'
import { type Conditions, type CountedPlace, countPlaces, findPlaces, type Place } from './places.ts'
import { readHeadlines, type Snippet, snippetOf } from './snippet.ts'

export type SearchFilter = Omit<Conditions, 'visibleTo' | 'agentId' | 'agentKey'> & {
  /** Key or id. */
  agent?: string | null | undefined
}

/** `message` is null where the title was found. */
export type SearchHit = Place & { session: Session; message: Message | null; snippet: Snippet }

export type SearchArgs = PageArgs & { query: string; filter?: SearchFilter | null | undefined }

/** Prisma's selections of what hangs on the rows of a page. */
export type Selections = { session: object; message: object }

export type Search = {
  /**
   * Where words stand in the conversations and titles that the viewer may see, best first. Deleted sessions, older
   * versions of messages and replies that are still being written are left out; so is all but the newest `maxMatches`
   * matches.
   */
  find(viewer: Viewer, args: SearchArgs, selections: Selections): Promise<Page<SearchHit>>
}

export const searchPageSizes = { default: 20, max: 50 }

const byRank: readonly OrderKey[] = [
  { field: 'rank', direction: 'desc', type: 'float' },
  { field: 'id', direction: 'desc', type: 'uuid' },
]

const args = z.object({
  query: text({ max: 500 }),
  filter: z
    .object({
      agent: text({ min: 1, max: 100 }).nullish(),
      sessionIds: z.array(z.uuid()).max(100, 'has more than 100 entries').nullish(),
      tags: z
        .array(text({ min: 1, max: 64 }))
        .max(20, 'has more than 20 entries')
        .nullish(),
    })
    .nullish(),
})

export function createSearch(): Search {
  return {
    async find(viewer, { query, filter, ...pageArgs }, selections) {
      check(args, { query, filter })
      const plan = planPage(pageArgs, searchPageSizes, byRank)
      const conditions = conditionsOf(viewer, filter ?? {})
      const { statement, values } = findPlaces(query, conditions, plan)
      const places = await viewer.db.searchSql<CountedPlace>(statement, values)
      const page = pageOf<Place>(plan, byRank, places, async () => {
        if (places[0]) return places[0].total
        const counting = countPlaces(query, conditions)
        const [found] = await viewer.db.searchSql<{ count: number }>(counting.statement, counting.values)
        return found?.count ?? 0
      })
      return { ...page, rows: await readHits(viewer, query, page.rows, selections) }
    },
  }
}

function conditionsOf(viewer: Viewer, { agent, ...filter }: SearchFilter): Conditions {
  const visibleTo = actsForTenant(viewer) ? null : viewer.userId
  if (agent?.startsWith('agent_'))
    return { ...filter, visibleTo, agentId: decodeIdOf('Agent', agent, 'filter.agent') }
  return { ...filter, visibleTo, agentKey: agent }
}

/** The rows behind the places; a place whose rows are out of the viewer's sight by now is dropped. */
async function readHits(
  viewer: Viewer,
  query: string,
  places: readonly Place[],
  selections: Selections,
): Promise<SearchHit[]> {
  const { db, tenantId } = viewer
  const sessionIds = places.map(({ sessionId }) => sessionId)
  const messageIds = places.flatMap(({ messageId }) => messageId ?? [])
  const titleIds = places.filter(({ messageId }) => messageId === null).map(({ id }) => id)
  const [sessions, messages, headlines] = await Promise.all([
    db.prisma.session.findMany({
      ...selections.session,
      where: { tenantId, id: { in: sessionIds }, deletedAt: null, ...visibleSessions(viewer) },
    }),
    db.prisma.message.findMany({
      ...selections.message,
      where: { tenantId, id: { in: messageIds }, ...onVisibleSession(viewer) },
    }),
    db.sql<{ id: string; headline: string }>(readHeadlines, [tenantId, query, messageIds, titleIds]),
  ])
  const sessionsById = new Map(sessions.map((session) => [session.id, session]))
  const messagesById = new Map(messages.map((message) => [message.id, message]))
  const headlinesById = new Map(headlines.map(({ id, headline }) => [id, headline]))
  return places.flatMap((place) => {
    const session = sessionsById.get(place.sessionId)
    const message = place.messageId === null ? null : messagesById.get(place.messageId)
    const headline = headlinesById.get(place.id)
    if (!session || message === undefined || headline === undefined) return []
    return { ...place, session, message, snippet: snippetOf(headline) }
  })
}
