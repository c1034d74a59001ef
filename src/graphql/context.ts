import type { Viewer } from '../auth/viewer.ts'
import type { Services } from '../features/services.ts'
import type { Gone } from '../lib/async.ts'
import { UnauthenticatedError } from '../lib/errors.ts'

/** What every resolver gets; made once per operation by the same function for HTTP, SSE and WebSocket. */
export type Context = {
  readonly requestId: string
  /** Null where no token came; the fields that need one refuse then. */
  readonly viewer: Viewer | null
  readonly services: Services
  /** Gives what aborts when the caller has gone; absent for events, which are of many. */
  readonly gone?: Gone
  /** The operation was found to cost no more than it may. */
  readonly isAffordable?: boolean
}

/** The viewer of a field that is open to signed-in callers only. */
export function viewerOf(context: Context): Viewer {
  if (context.viewer === null)
    throw new UnauthenticatedError(
      'Sign in: send the header "Authorization: Bearer <token>", or the same in connectionParams.',
    )
  return context.viewer
}
