import { invalid } from '../lib/errors.ts'
import type { Position } from './broker.ts'

/** `revision` is that of the state the reader holds: events up to it are not repeated, whenever they arrive. */
export type FeedCursor = { position: Position; revision: number }

export const formatCursor = ({ epoch, offset }: Position, revision: number) =>
  `${epoch}:${offset}:${revision}`

const cursorForm = /^([\w-]{1,40}):(\d{1,15}):(\d{1,9})$/

/** Throws a `ValidationError` for text that is no cursor of a feed. */
export function parseCursor(cursor: string): FeedCursor {
  const [, epoch, offset, revision] = cursorForm.exec(cursor) ?? []
  if (epoch === undefined) throw invalid('after', 'is not a cursor of a live feed')
  return { position: { epoch, offset: Number(offset) }, revision: Number(revision) }
}
