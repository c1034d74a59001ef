import { escapeLike } from '../lib/like.ts'
import type { TenantDatabase } from './client.ts'

/** Rows that are found by a part of a text; columns stand with `t.` before them. */
export type Searched = {
  table: string
  /** What is found; it rises with time. */
  id: string
  /** Just what the index of its parts has. */
  text: string
}

/** A term that one of twenty of these rows has, the newest, is met soon by any list: it is not looked up. */
const newest = { rows: 500, common: 25 }

/** More of a long term would say little, and each part is a list to be read. */
const mostParts = 32

/**
 * The ids of up to `atMost` rows in whose text the term stands, as an array in SQL; null where it stands in many of the
 * newest. `tenant` is SQL, `add` takes a value and gives the SQL that stands for it. For `searchSql`, since no row that is not
 * the tenant's may be told of.
 */
export function partLookUp(
  { table, id, text }: Searched,
  term: string,
  { tenant, add, atMost }: { tenant: string; add: (value: unknown, type: string) => string; atMost: number },
): string {
  const asked = add(term, 'text')
  const isIn = `t.found ILIKE ${add(`%${escapeLike(term)}%`, 'text')}`
  // What a single character leaves has one, all else two: those alone would be in nearly all texts.
  const parts = `ARRAY(SELECT part FROM unnest(public.title_parts(${asked})) AS part
    WHERE length(part) = least(2, length(lower(${asked}))) LIMIT ${mostParts})`
  const rows = `SELECT t.${id} AS id, ${text} AS found FROM ${table} t WHERE t.tenant_id = ${tenant}`
  return `CASE WHEN (SELECT count(*) FROM (${rows} ORDER BY t.${id} DESC LIMIT ${newest.rows}) t WHERE ${isIn}) < ${newest.common}
    THEN ARRAY(SELECT t.id FROM (${rows} AND public.title_parts(${text}) @> ${parts}) t WHERE ${isIn} LIMIT ${atMost}) END`
}

/** What more rows have is so common that the order of a list soon meets a page of it. */
const mostRare = 1_000

/**
 * The ids of all rows in whose text the term stands; null where they are more than 1,000, or may be. `name` is that of the
 * prepared statement.
 */
export async function findByPart(
  db: TenantDatabase,
  name: string,
  searched: Searched,
  term: string,
): Promise<string[] | null> {
  const values: unknown[] = []
  const add = (value: unknown, type: string) => `$${values.push(value) + 1}::${type}`
  const ids = partLookUp(searched, term, { tenant: '$1::uuid', add, atMost: mostRare + 1 })
  const [found] = await db.searchSql<{ ids: string[] | null }>({ name, text: `SELECT ${ids} AS ids` }, values)
  return found?.ids && found.ids.length <= mostRare ? found.ids : null
}
