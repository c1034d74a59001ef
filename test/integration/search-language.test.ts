import { describe, expect, it } from 'vitest'
import { setSearchLanguage } from '../../src/db/search-language.ts'
import { startTestApp } from '../support/app.ts'
import { query as sql } from '../support/postgres.ts'

const search = 'query ($query: String!) { search(query: $query) { totalCount } }'

/** What the index itself holds, which a plan for a handful of rows would not ask. */
async function indexed(url: string, word: string): Promise<number> {
  const rows = await sql(
    url,
    `SELECT id FROM messages WHERE replaced_at IS NULL AND status <> 'STREAMING'
       AND to_tsvector('public.parley', left(content, 50000)) @@ websearch_to_tsquery('public.parley', $1)`,
    { values: [word], options: '-c enable_seqscan=off' },
  )
  return rows.length
}

describe('the language of the search', () => {
  it('can be changed, and what is there already is indexed anew', async () => {
    const first = await startTestApp()
    const sessionId = await first.api().createSession({ title: 'Horses' })
    await first
      .api()
      .run('mutation ($input: AddMessagesInput!) { addMessages(input: $input) { __typename } }', {
        input: { sessionId, messages: [{ role: 'USER', content: 'The horses were running' }] },
      })
    const { databaseUrl } = first
    const found = async (app: typeof first, query: string) =>
      (await app.api().run(search, { query })).search.totalCount
    expect([await found(first, 'run'), await found(first, 'the')]).toEqual([0, 1])
    expect(await indexed(databaseUrl, 'run')).toBe(0)
    await first.stop()

    const english = await startTestApp({ databaseUrl, env: { SEARCH_LANGUAGE: 'english' } })
    expect([await found(english, 'run'), await found(english, 'horse'), await found(english, 'the')]).toEqual(
      [1, 2, 0],
    )
    expect(await indexed(databaseUrl, 'run')).toBe(1)
    await english.stop()

    const simple = await startTestApp({ databaseUrl })
    expect([await found(simple, 'run'), await found(simple, 'the')]).toEqual([0, 1])
    expect(await indexed(databaseUrl, 'the')).toBe(1)
  })

  it('is left alone where it is the same, and changed once by nodes that start together', async () => {
    const { databaseUrl: url } = await startTestApp()
    expect(await setSearchLanguage({ url, language: 'simple' })).toBe(false)
    const changes = await Promise.all([1, 2, 3].map(() => setSearchLanguage({ url, language: 'german' })))
    expect(changes.filter(Boolean)).toHaveLength(1)
  })

  it('must be one that the server knows', async () => {
    const { databaseUrl } = await startTestApp()
    await expect(startTestApp({ databaseUrl, env: { SEARCH_LANGUAGE: 'klingon' } })).rejects.toThrow(
      /SEARCH_LANGUAGE: the database server knows no "klingon"; allowed is one of .*english/,
    )
    await expect(startTestApp({ databaseUrl, env: { SEARCH_LANGUAGE: "x'; DROP" } })).rejects.toThrow(
      'is not a language',
    )
  })
})
