import type { Statement } from '../../db/client.ts'
import { searchedText } from './places.ts'

/** A piece of text around the words that were found; `highlights` say where they stand in it, in UTF-16 units. */
export type Snippet = { text: string; highlights: { start: number; end: number }[] }

/** Stand around each word that was found; taken out of the text itself before. */
const [startMark, endMark] = ['\u0002', '\u0003']

const options = [
  `StartSel="${startMark}"`,
  `StopSel="${endMark}"`,
  'MaxFragments=2',
  'FragmentDelimiter=" … "',
  'MinWords=8',
  'MaxWords=24',
].join(', ')

const headline = (column: string) =>
  `ts_headline('public.parley', translate(${column}, '${startMark}${endMark}', ''),
    websearch_to_tsquery('public.parley', $2), '${options}')`

/** Of the messages `$3` and the titles of the sessions `$4`, around the words `$2`. */
export const readHeadlines: Statement = {
  name: 'search-headlines',
  text: `SELECT m.id, ${headline(searchedText)} AS headline FROM messages m WHERE m.tenant_id = $1 AND m.id = ANY($3)
    UNION ALL
    SELECT s.id, ${headline('s.title')} FROM sessions s WHERE s.tenant_id = $1 AND s.id = ANY($4)`,
}

/** Turns the marks of a headline into places, so that no page has to trust markup in a text that anybody wrote. */
export function snippetOf(headline: string): Snippet {
  let text = ''
  const highlights: Snippet['highlights'] = []
  for (const [index, part] of headline.split(startMark).entries()) {
    const [found = '', rest] = part.split(endMark)
    if (index > 0) highlights.push({ start: text.length, end: text.length + found.length })
    text += found + (rest ?? '')
  }
  return { text, highlights }
}
