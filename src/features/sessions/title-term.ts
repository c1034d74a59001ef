import { escapeLike } from '../../lib/like.ts'
import type { Parameters } from './filter.ts'

/** A term that one of twenty of these titles has, the newest, is met soon by any list: it is not looked up. */
const newest = { titles: 500, common: 25 }

/** More of a long term would say little, and each part is a list to be read. */
const mostParts = 32

/**
 * The ids of up to `atMost` sessions, deleted ones included, in whose titles the term stands, as an array in SQL; null where
 * it stands in many of the newest. For `searchSql`, since no row that is not the tenant's may be told of.
 */
export function titleLookUp(term: string, tenant: string, { add }: Parameters, atMost: number): string {
  const text = add(term, 'text')
  const isIn = `t.title ILIKE ${add(`%${escapeLike(term)}%`, 'text')}`
  // What a single character leaves has one, all else two: those alone would be in the titles of nearly all.
  const parts = `ARRAY(SELECT part FROM unnest(public.title_parts(${text})) AS part
    WHERE length(part) = least(2, length(lower(${text}))) LIMIT ${mostParts})`
  return `CASE WHEN (SELECT count(*) FROM (SELECT t.title FROM session_titles t WHERE t.tenant_id = ${tenant}
      ORDER BY t.session_id DESC LIMIT ${newest.titles}) t WHERE ${isIn}) < ${newest.common}
    THEN ARRAY(SELECT t.session_id FROM session_titles t
      WHERE t.tenant_id = ${tenant} AND public.title_parts(t.title) @> ${parts} AND ${isIn} LIMIT ${atMost}) END`
}
