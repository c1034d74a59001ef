import { expect, it } from 'vitest'
import { changed, type ListedSession } from '../../client/src/apollo/session-list.ts'

const latestFirst = { field: 'LAST_MESSAGE_AT', direction: 'DESC' } as const

const session = (id: string, day: number) =>
  ({ id, lastMessageAt: `2026-01-${String(day).padStart(2, '0')}T00:00:00Z` }) as ListedSession

/** Two of five: those of the ninth and the fifth. */
const listed = (hasNextPage = true) => ({
  __typename: 'SessionConnection' as const,
  nodes: [session('nine', 9), session('five', 5)],
  totalCount: hasNextPage ? 5 : 2,
  pageInfo: { __typename: 'PageInfo' as const, hasNextPage, endCursor: 'end' },
})

const after = (kind: 'CREATED' | 'UPDATED' | 'DELETED', id: string, day?: number, hasNextPage = true) => {
  const change = { kind, sessionId: id, session: day === undefined ? null : session(id, day) }
  const list = changed(listed(hasNextPage), change, latestFirst)
  return list && [list.nodes.map(({ id }) => id).join(' '), list.totalCount]
}

it('counts a session that is new, and shows it where it belongs to what is loaded', () => {
  expect(after('CREATED', 'ten', 10)).toEqual(['ten nine five', 6])
  expect(after('CREATED', 'two', 2)).toEqual(['nine five', 6])
  expect(after('CREATED', 'two', 2, false)).toEqual(['two nine five', 3])
  expect(after('CREATED', 'nine', 9)).toBeNull()
})

it('does not count one again that has changed, and leaves out what lies behind the loaded ones', () => {
  expect(after('UPDATED', 'old', 10)).toEqual(['old nine five', 5])
  expect(after('UPDATED', 'old', 2)).toEqual(['nine five', 5])
  expect(after('UPDATED', 'old', 2, false)).toEqual(['old nine five', 3])
  expect(after('UPDATED', 'nine', 9)).toBeNull()
})

it('counts off what is gone, whether it was loaded or not', () => {
  expect(after('DELETED', 'nine')).toEqual(['five', 4])
  expect(after('DELETED', 'old')).toEqual(['nine five', 4])
  expect(after('DELETED', 'stranger', undefined, false)).toEqual(['nine five', 2])
})
