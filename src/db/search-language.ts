import { Client, DatabaseError, escapeLiteral } from 'pg'
import { MigrationError } from './migrate.ts'

/**
 * Makes full-text search cut words as a language does, `english` or `german` for example: with it, `run` also finds
 * `running`, and `the` is passed over. `simple` takes words as they are, which fits every language. A change indexes
 * every message and document anew, some minutes for a million of them; until then none can be stored. False where nothing was to
 * be done. Throws `MigrationError`.
 */
export async function setSearchLanguage(options: { url: string; language: string }): Promise<boolean> {
  const client = new Client({ connectionString: options.url })
  // A connection that is lost between two statements fails the next one; unheard, this event would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    if ((await currentLanguage(client)) === options.language) return false
    return await change(client, options.language)
  } finally {
    await client.end()
  }
}

/** As a comment tells it: PostgreSQL keeps what a configuration is, not what it was copied from. */
async function currentLanguage(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ language: string }>(
    `SELECT obj_description('public.parley'::regconfig, 'pg_ts_config') AS language`,
  )
  return rows[0]?.language
}

async function change(client: Client, language: string): Promise<boolean> {
  try {
    await client.query('BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(72707369)')
    // Another node may have been first, and this one waited for it.
    const isNew = (await currentLanguage(client)) !== language
    if (isNew) {
      await checkLanguage(client, language)
      await client.query(changeTo(language))
    }
    await client.query('COMMIT')
    return isNew
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    if (error instanceof DatabaseError && error.code === '42501')
      throw new MigrationError(
        `The language of the search cannot be changed (${error.message}): migrate as the user who owns the tables.`,
      )
    throw error
  }
}

async function checkLanguage(client: Client, language: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT cfgname AS name FROM pg_ts_config WHERE cfgnamespace = 'pg_catalog'::regnamespace ORDER BY 1`,
  )
  const names = rows.map(({ name }) => name)
  if (names.includes(language)) return
  throw new MigrationError(
    `SEARCH_LANGUAGE: the database server knows no ${JSON.stringify(language)}; allowed is one of ${names.join(', ')}.`,
  )
}

/** The indexes name the configuration, so it is changed in place, a kind of word at a time. */
const changeTo = (language: string) => `
  DO $$
  DECLARE
    kind record;
  BEGIN
    FOR kind IN
      SELECT token.alias, string_agg(map.mapdict::regdictionary::text, ', ' ORDER BY map.mapseqno) AS dictionaries
      FROM pg_ts_config_map map JOIN ts_token_type('default') token ON token.tokid = map.maptokentype
      WHERE map.mapcfg = ('pg_catalog.' || ${escapeLiteral(language)})::regconfig GROUP BY token.alias
    LOOP
      EXECUTE format('ALTER TEXT SEARCH CONFIGURATION public.parley ALTER MAPPING FOR %I WITH %s',
        kind.alias, kind.dictionaries);
    END LOOP;
  END
  $$;
  COMMENT ON TEXT SEARCH CONFIGURATION public.parley IS ${escapeLiteral(language)};
  REINDEX INDEX public.messages_search;
  REINDEX INDEX public.session_titles_search;
  SET LOCAL ROLE parley_system;
  UPDATE public.chunks SET words = to_tsvector('public.parley', coalesce(heading || E'\\n', '') || content);
  RESET ROLE;`
