/** A piece of a document's text, small enough to be found and shown by itself. Offsets are UTF-16 units. */
export type Piece = {
  start: number
  end: number
  text: string
  /** From 1 on; null where the document has no pages. */
  page: number | null
  /** The headings that it stands under, outermost first; null under none. */
  heading: string | null
}

/** The text of a document; `pageStarts` are the offsets at which its pages begin, none where it has no pages. */
export type DocumentText = { text: string; pageStarts: readonly number[]; isMarkdown: boolean }

const maxLength = 1_000
/** What a piece repeats of the one before it, so that no thought is lost between the two. */
const overlapLength = 150
/** A place to cut is looked for behind this. */
const minLength = 400

/**
 * Cuts a text into pieces of at most 1,000 UTF-16 units, in time that grows with its length. A cut falls where a section,
 * a paragraph, a line, a sentence or a word ends, whichever comes first in this order. A piece repeats up to 150 units of
 * the one before, but nothing across pages and sections; no piece spans two pages.
 */
export function* chunksOf({ text, pageStarts, isMarkdown }: DocumentText): Generator<Piece> {
  const sections = isMarkdown ? sectionsOf(text) : []
  const pages = pageStarts.length > 0 ? pageStarts : [0]
  let section = -1
  for (const [index, pageStart] of pages.entries()) {
    const pageEnd = pages[index + 1] ?? text.length
    for (const { start, end } of spansOf(text, pageStart, pageEnd, sections)) {
      while ((sections[section + 1]?.start ?? Number.POSITIVE_INFINITY) <= start) section += 1
      yield {
        start,
        end,
        text: text.slice(start, end),
        page: pageStarts.length > 0 ? index + 1 : null,
        heading: sections[section]?.heading ?? null,
      }
    }
  }
}

type Span = { start: number; end: number }
type Section = { start: number; heading: string }

function* spansOf(text: string, from: number, to: number, sections: readonly Section[]): Generator<Span> {
  let next = 0
  let start = skipSpace(text, from, to)
  while (start < to) {
    while ((sections[next]?.start ?? Number.POSITIVE_INFINITY) <= start) next += 1
    const limit = Math.min(start + maxLength, to)
    // A piece ends where a section begins; short sections stay together.
    let border: number | undefined
    for (let at = next; (sections[at]?.start ?? Number.POSITIVE_INFINITY) < limit; at += 1)
      if ((sections[at]?.start ?? 0) - start >= minLength) border ??= sections[at]?.start
    const end = border ?? (limit === to ? to : cutOf(text, start, limit))
    yield { start, end: trimEnd(text, start, end) }
    const isSectionEnd = border !== undefined
    start = skipSpace(text, isSectionEnd || end === to ? end : overlapFrom(text, start, end), to)
  }
}

/** From the strongest border to the weakest; the last match of the first one that matches is the cut. */
const borders = [/\n[ \t]*\n\s*/g, /\n/g, /[.!?。！？…]["'”’)\]]*(\s+|(?<=[。！？]))/g, /\s+/g]

function cutOf(text: string, start: number, limit: number): number {
  const from = start + minLength
  const tail = text.slice(from, limit)
  for (const border of borders) {
    let cut = -1
    for (const match of tail.matchAll(border)) cut = match.index + match[0].length
    if (cut > 0) return from + cut
  }
  return wholeCharacter(text, limit)
}

/** The place from which the next piece begins: a word, at most `overlapLength` before the end of this one. */
function overlapFrom(text: string, start: number, end: number): number {
  const from = Math.max(end - overlapLength, start + 1)
  const space = text.slice(from, end).search(/\s/)
  return space === -1 ? end : from + space
}

const wholeCharacter = (text: string, at: number) =>
  /[\ud800-\udbff]/.test(text[at - 1] ?? '') && /[\udc00-\udfff]/.test(text[at] ?? '') ? at - 1 : at

function skipSpace(text: string, from: number, to: number): number {
  let at = from
  while (at < to && /\s/.test(text[at] as string)) at += 1
  return at
}

function trimEnd(text: string, start: number, end: number): number {
  let at = end
  while (at > start + 1 && /\s/.test(text[at - 1] as string)) at -= 1
  return at
}

const heading = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$/
const fence = /^ {0,3}(`{3,}|~{3,})/
const headingMaxLength = 200

/** The sections of a Markdown text that begin with a `#` heading, each with the headings above it. */
function sectionsOf(text: string): Section[] {
  const sections: Section[] = []
  const trail: string[] = []
  let open: string | undefined
  for (let start = 0; start < text.length; ) {
    const lineEnd = text.indexOf('\n', start)
    const end = lineEnd === -1 ? text.length : lineEnd
    // No heading and no fence is longer, and patterns must not be run over a line of megabytes.
    const line = text.slice(start, Math.min(end, start + 1_000)).trimEnd()
    const mark = fence.exec(line)?.[1]
    if (mark && open === undefined) open = mark
    else if (mark && open !== undefined && mark.startsWith(open)) open = undefined
    else if (open === undefined) {
      const [, level = '', title = ''] = heading.exec(line) ?? []
      if (title) {
        trail.length = Math.min(trail.length, level.length - 1)
        trail.push(title)
        sections.push({ start, heading: trail.join(' › ').slice(-headingMaxLength).toWellFormed() })
      }
    }
    start = end + 1
  }
  return sections
}
