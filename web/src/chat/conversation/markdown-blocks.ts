const fence = /^ {0,3}(`{3,}|~{3,})/
const listItem = /^ {0,3}(?:[-*+]|\d{1,9}[.)])\s/
const definition = /^ {0,3}\[[^\]]+\]:/m

/**
 * Cuts a Markdown text at blank lines into pieces that can be drawn apart, so that of a growing text only the last piece
 * is drawn anew. Fences and lists stay whole; a text with link definitions or footnotes is one piece.
 */
export function splitBlocks(text: string): string[] {
  if (definition.test(text)) return [text]
  const blocks: string[] = []
  let lines: string[] = []
  let open: string | null = null
  const cut = () => {
    if (lines.some((line) => line.trim() !== '')) blocks.push(lines.join('\n'))
    lines = []
  }
  for (const line of text.split('\n')) {
    const mark = fence.exec(line)?.[1]
    const isAfterBlank = open === null && lines.at(-1)?.trim() === ''
    if (isAfterBlank && !continues(line, lines[0] ?? '')) cut()
    lines.push(line)
    if (open === null) open = mark ?? null
    else if (mark?.startsWith(open) && line.trim() === mark) open = null
  }
  cut()
  return blocks
}

/** Whether a line after a blank one still belongs to the block that began with `first`. */
function continues(line: string, first: string) {
  if (line.trim() === '' || /^\s{2,}|^\t/.test(line)) return true
  return listItem.test(line) && listItem.test(first)
}
