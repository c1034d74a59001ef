import type { ErrorCode } from './errors.ts'

/** Takes count of what happens. Nothing that it is told holds content, ids, or names that a caller can choose. */
export type Meter = {
  /** An operation that was run, or refused before it was known what it is. Of a subscription, its beginning. */
  operation(kind: OperationKind, outcome: 'OK' | ErrorCode, seconds: number): void
  httpResponse(status: number): void
  socketClosed(code: number): void
  runFinished(run: { status: string; secondsToFirstToken: number | null }): void
  /** Events that were appended to the feeds of sessions. */
  feedEvents(type: string, count: number): void
}

export type OperationKind = 'query' | 'mutation' | 'subscription' | 'unknown'

export const noMeter: Meter = {
  operation() {},
  httpResponse() {},
  socketClosed() {},
  runFinished() {},
  feedEvents() {},
}
