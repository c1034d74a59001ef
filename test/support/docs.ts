import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

export type Block = { language: string; text: string }

/** A part of a page from one heading to the next. */
export type Section = { page: string; heading: string; blocks: Block[] }

/** Every section of the READMEs and of docs/ that has a block of code. */
export async function readSections(): Promise<Section[]> {
  const pages = ['README.md', 'client/README.md', ...(await pagesOf('docs'))]
  const sections = await Promise.all(pages.map(async (page) => sectionsOf(page, await read(page))))
  return sections.flat().filter(({ blocks }) => blocks.length > 0)
}

export const pagesOf = async (folder: string): Promise<string[]> =>
  (await readdir(join(root, folder), { recursive: true }))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort()

export const read = (page: string): Promise<string> => readFile(join(root, page), 'utf8')

function sectionsOf(page: string, text: string): Section[] {
  const sections: Section[] = [{ page, heading: '', blocks: [] }]
  // A fence first: what looks like a heading within one is a comment.
  for (const [, language, code, heading] of text.matchAll(/^```(\w*)\n([\s\S]*?)^```$|^#+ (.*)$/gm)) {
    if (heading !== undefined) sections.push({ page, heading, blocks: [] })
    else sections.at(-1)?.blocks.push({ language: language ?? '', text: code ?? '' })
  }
  return sections
}
