import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { markedText } from './marks.ts'

/**
 * Besides its door, each server under test has a port where the runner says what to publish: JSON lines, each answered
 * by one, in order of completion.
 */
export type Command =
  /** Makes streams to follow; answers `Opened`. `followers` is how many users each must let in. */
  | { do: 'open'; streams: number; followers: number; isIdle?: boolean }
  /** Publishes so many deliveries at once, stream after stream. */
  | { do: 'burst'; count: number }
  /** The same at a pace, each longer by some bytes; answers how many when all are published. */
  | { do: 'pace'; perSecond: number; seconds: number; fillerBytes?: number }
  /** Ends the streams. */
  | { do: 'close' }
  /** Answers the resident bytes after a collection of garbage. */
  | { do: 'memory' }
  /** Answers `Statements`, counted since the last time, without those that go by the clock. */
  | { do: 'statements' }

/** `tokens` are those of the users who may follow the stream. */
export type Opened = { streams: { id: string; tokens: string[] }[] }
export type Statements = { count: number; byName: Record<string, number> }

export type Publisher = {
  open(command: { streams: number; followers: number; isIdle: boolean }): Promise<Opened>
  publish(stream: number, text: string): void
  close(): Promise<void>
  statements?(): Statements
}

/** Says `ready` when the runner can reach it on CONTROL_PORT. */
export function serveControl(publisher: Publisher): void {
  let streams = 1
  let next = 0
  const publishOne = (filler?: string) => {
    publisher.publish(next % streams, markedText(filler))
    next += 1
  }

  async function carryOut(command: Command): Promise<unknown> {
    if (command.do === 'open') {
      streams = command.streams
      next = 0
      return publisher.open({ isIdle: false, ...command })
    }
    if (command.do === 'burst') for (let sent = 0; sent < command.count; sent += 1) publishOne()
    if (command.do === 'pace') {
      const filler = 'x'.repeat(command.fillerBytes ?? 0)
      return pace(command, () => publishOne(filler))
    }
    if (command.do === 'close') await publisher.close()
    if (command.do === 'memory') return residentBytes()
    if (command.do === 'statements') return publisher.statements?.() ?? { count: 0, byName: {} }
    return null
  }

  const answer = async (socket: Socket, line: string) => {
    const { id, ...command } = JSON.parse(line) as Command & { id: number }
    const result = await carryOut(command).then(
      (value) => ({ value }),
      (error) => ({ error: String(error) }),
    )
    socket.write(`${JSON.stringify({ id, ...result })}\n`)
  }
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    createInterface({ input: socket }).on('line', (line) => void answer(socket, line))
  })
  server.listen(Number(process.env.CONTROL_PORT), '127.0.0.1', () => process.stdout.write('ready\n'))
}

/** Every delivery at its own time, as far as the timers let it. */
function pace({ perSecond, seconds }: { perSecond: number; seconds: number }, publishOne: () => void) {
  const total = Math.round(perSecond * seconds)
  const startMs = performance.now()
  let sent = 0
  return new Promise<number>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, ((performance.now() - startMs) / 1_000) * perSecond)
      for (; sent < due; sent += 1) publishOne()
      if (sent < total) return
      clearInterval(timer)
      resolve(sent)
    }, 1)
  })
}

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/**
 * As it is on a server that has had nothing to do for a while: with its young generation given back, which is of the
 * process and of no socket, and comes and goes with the work.
 */
async function residentBytes(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    ;(globalThis as { gc?: Collect }).gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    // What one collection sets free in other turns, such as buffers of sockets, goes with the next.
    await sleep(100)
  }
  return process.memoryUsage().rss
}

export type Control = { ask<Answer>(command: Command): Promise<Answer>; end(): void }

/** The runner's side. Commands that are under way fail when the server goes away. */
export async function openControl(port: number): Promise<Control> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>()
  let lastId = 0
  createInterface({ input: socket }).on('line', (line) => {
    const { id, value, error } = JSON.parse(line)
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error) asked?.reject(new Error(error))
    else asked?.resolve(value as never)
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('The server under test has gone.'))
    waiting.clear()
  })
  return {
    ask: (command) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new Error('The server under test has gone.'))
        lastId += 1
        waiting.set(lastId, { resolve, reject })
        socket.write(`${JSON.stringify({ id: lastId, ...command })}\n`)
      }),
    end: () => socket.destroy(),
  }
}
