import type { GraphQLError } from 'graphql'
import type { SharedMembership, SharedReader, SharedRendering } from '../graphql/shared.ts'
import type { OperationRequest } from './operation-request.ts'
import type { Begun, Operations } from './operations.ts'
import type { OperationOrigin, Present } from './yoga.ts'

/**
 * An operation on a connection that stays open. Nothing is sent for it once it is over, and nothing is asked of its
 * source while the connection is full: what waits, waits in the source.
 */
export type LiveOperation = {
  isOver: boolean
  membership: SharedMembership | null
  values: AsyncIterator<unknown> | null
  /** Goes on with values that wait for the connection. */
  wake: (() => void) | null
  /** Aborts where the operation is over before it was begun; there only where somebody asked for it. */
  gone: AbortController | null
}

type SharedBegun = Extract<Begun, { type: 'shared' }>

/** What a door does for an operation that is not over. */
export type OperationDoor<Operation extends LiveOperation> = {
  /** Before anything of an operation that was begun; `status` is what HTTP would answer with, if not 200. */
  opened?(operation: Operation, status: number | undefined): void
  /** Sends the only result of an operation; throws where too many of them wait for the caller. */
  result(operation: Operation, json: string): void
  /** Sends one of many; false where the connection can take no more until `resumeOperation`. */
  next(operation: Operation, json: string): boolean
  refuse(operation: Operation, errors: readonly GraphQLError[]): void
  complete(operation: Operation): void
  isFull(operation: Operation): boolean
}

/** Gives up whatever the operation holds. */
export function endOperation(operation: LiveOperation): void {
  if (operation.isOver) return
  operation.isOver = true
  operation.membership?.leave()
  // It may fail as it ends, which is nobody's concern any more.
  Promise.resolve(operation.values?.return?.()).catch(() => {})
  operation.wake?.()
  operation.gone?.abort()
  operation.membership = null
  operation.values = null
  operation.gone = null
}

/** What aborts when the operation is over. */
export function goneOf(operation: LiveOperation): AbortSignal {
  if (operation.isOver) return AbortSignal.abort()
  operation.gone ??= new AbortController()
  return operation.gone.signal
}

/** The connection can take more. */
export function resumeOperation(operation: LiveOperation): void {
  operation.wake?.()
  operation.membership?.resume()
}

/** Where readers put what they are told; one for all of them. */
type Outlet<Operation> = Pick<OperationDoor<Operation & LiveOperation>, 'next' | 'complete'> & {
  refuse(operation: Operation, error: unknown, requestId: string): void
}

/** An operation as a reader of what it shares with others. A class, since there is one for each that waits. */
class OperationReader<Operation extends LiveOperation> implements SharedReader {
  private readonly outlet: Outlet<Operation>
  private readonly operation: Operation
  private readonly requestId: string

  constructor(outlet: Outlet<Operation>, operation: Operation, requestId: string) {
    this.outlet = outlet
    this.operation = operation
    this.requestId = requestId
  }

  take(json: string): boolean {
    return this.outlet.next(this.operation, json)
  }

  end(): void {
    this.outlet.complete(this.operation)
  }

  fail(error: unknown): void {
    this.outlet.refuse(this.operation, error, this.requestId)
  }
}

/** Runs an operation to its end, and tells the door what comes of it. */
export function createOperationRunner<Operation extends LiveOperation>(
  operations: Operations,
  present: Present,
  door: OperationDoor<Operation>,
): (operation: Operation, request: OperationRequest, origin: OperationOrigin) => Promise<void> {
  const room = (operation: Operation) =>
    new Promise<void>((resolve) => {
      operation.wake = () => {
        operation.wake = null
        resolve()
      }
    })

  async function iterate(operation: Operation, values: AsyncIterator<unknown>, rendering: SharedRendering) {
    operation.values = values
    for (;;) {
      while (door.isFull(operation) && !operation.isOver) await room(operation)
      if (operation.isOver) return
      const next = await values.next()
      if (operation.isOver || next.done) break
      const json = await rendering.render(next.value)
      if (operation.isOver) return
      door.next(operation, json)
    }
    if (!operation.isOver) door.complete(operation)
  }

  function refuse(operation: Operation, error: unknown, requestId: string) {
    if (!operation.isOver) door.refuse(operation, [present(error, requestId)])
  }

  const outlet: Outlet<Operation> = {
    next: (operation, json) => door.next(operation, json),
    complete: (operation) => door.complete(operation),
    refuse,
  }

  /** Apart from what begins an operation, so that a reader that waits keeps nothing of that. */
  function join(operation: Operation, { stream, sharing }: SharedBegun, requestId: string) {
    const membership = stream.join(sharing, new OperationReader(outlet, operation, requestId))
    if (operation.isOver) membership.leave()
    else operation.membership = membership
  }

  return async (operation, request, origin) => {
    const { requestId } = origin
    const begun = await operations.begin(request, origin)
    if (operation.isOver) {
      if (begun.type === 'shared') begun.stream.close()
      if (begun.type === 'values') void begun.values.return?.()
      return
    }
    if (begun.type === 'refused') return door.refuse(operation, begun.errors)
    door.opened?.(operation, begun.type === 'result' ? begun.status : undefined)
    if (begun.type === 'result') {
      try {
        door.result(operation, begun.json)
      } catch (error) {
        return refuse(operation, error, requestId)
      }
      if (!operation.isOver) door.complete(operation)
    } else if (begun.type === 'values')
      await iterate(operation, begun.values, begun.rendering).catch((error) =>
        refuse(operation, error, requestId),
      )
    else join(operation, begun, requestId)
  }
}
