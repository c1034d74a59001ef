import type { Viewer } from '../../auth/viewer.ts'
import type { Statement } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { seesDocument, sightOf } from '../sessions/documents.ts'

/** A passage as it was found, with its place in the text of its document in UTF-16 units. */
export type Placed = { documentId: string; startOffset: number; endOffset: number; content: string }

export type Surroundings = {
  /**
   * The text right before and right after a passage, up to 1,000 units each, less at the ends of the document; null where
   * the viewer does not see the document, or the passage does not stand there any more. For many, it is one statement.
   */
  of(viewer: Viewer, passage: Placed): Promise<{ before: string; after: string } | null>
}

export const surroundingsMaxLength = 1_000

type Piece = { startOffset: number; content: string }

const findPieces: Statement = {
  name: 'chunk-around-passages',
  text: `SELECT w.place::int, c.start_offset AS "startOffset", c.content
    FROM unnest($2::uuid[], $3::int[], $4::int[]) WITH ORDINALITY AS w (document_id, start_offset, end_offset, place)
    JOIN documents d ON d.tenant_id = $1 AND d.id = w.document_id AND ($5::uuid IS NULL OR ${seesDocument('$5')})
    JOIN chunks c ON c.tenant_id = d.tenant_id AND c.document_id = d.id AND c.version = d.indexed_version
      AND c.end_offset > w.start_offset - ${surroundingsMaxLength} AND c.start_offset < w.end_offset + ${surroundingsMaxLength}
    ORDER BY w.place, c.seq`,
}

export function createSurroundings(): Surroundings {
  const around = createBatch<Viewer, Placed, readonly Piece[]>(async (viewer, passages) => {
    const rows = await viewer.db.sql<Piece & { place: number }>(findPieces, [
      viewer.tenantId,
      passages.map(({ documentId }) => documentId),
      passages.map(({ startOffset }) => startOffset),
      passages.map(({ endOffset }) => endOffset),
      sightOf(viewer),
    ])
    const byPlace = Map.groupBy(rows, ({ place }) => place)
    return new Map(passages.map((passage, index) => [passage, byPlace.get(index + 1) ?? []]))
  })
  return {
    async of(viewer, passage) {
      const { startOffset, endOffset, content } = passage
      const { text, start } = joined((await around(viewer, passage)) ?? [])
      const slice = (from: number, to: number) =>
        text.slice(Math.max(0, from - start), Math.max(0, to - start))
      // The document may have got another content since.
      if (slice(startOffset, endOffset) !== content) return null
      return {
        before: slice(startOffset - surroundingsMaxLength, startOffset),
        after: slice(endOffset, endOffset + surroundingsMaxLength),
      }
    },
  }
}

/** The text that pieces are of, and where it begins: each repeats the end of the one before, or leaves out the space to it. */
function joined(pieces: readonly Piece[]): { text: string; start: number } {
  const start = pieces[0]?.startOffset ?? 0
  let text = ''
  for (const { startOffset, content } of pieces) {
    const end = start + text.length
    text += '\n'.repeat(Math.max(0, startOffset - end)) + content.slice(Math.max(0, end - startOffset))
  }
  return { text, start }
}
