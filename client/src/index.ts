export type { Stream } from './async.ts'
export type { TokenSource } from './credentials.ts'
export { type ClientErrorCode, type FieldFault, ParleyError, type ParleyErrorCode, unwrap } from './errors.ts'
export { newClientId } from './operations.ts'
export { createParley, type Parley, type ParleyOptions, type RequestOptions } from './parley.ts'
export type { Asked, FinishedReply, Reply, Sent } from './reply.ts'
export type { RegenerateOptions, SendOptions, Session } from './session.ts'
export {
  applyEvent,
  type Message,
  type Person,
  type Run,
  type SessionDetails,
  type SessionEvent,
  type SessionState,
} from './session-state.ts'
export type { Status } from './status.ts'
