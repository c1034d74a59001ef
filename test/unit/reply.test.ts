import { expect, it, vi } from 'vitest'
import { createReply } from '../../src/features/runs/reply.ts'
import { createTurnEnd } from '../../src/lib/turn.ts'
import type { ModelPart } from '../../src/llm/provider.ts'
import { createMemoryBroker } from '../../src/realtime/broker-memory.ts'
import { createFeed } from '../../src/realtime/feed.ts'
import type { FeedEvent } from '../../src/realtime/feed-events.ts'

function startReply(maxTextBytes: number) {
  const maxEntries = 10_000
  const broker = createMemoryBroker({ maxEntries, maxAgeMs: 600_000, batchSize: 300 })
  const onFull = vi.fn()
  const reply = createReply({
    feed: createFeed(broker, { maxEntries }),
    place: { sessionId: 'session', messageId: 'reply', fence: 1 },
    coalesceMs: 30,
    maxTextBytes,
    atTurnEnd: createTurnEnd(),
    onFull,
    onOvertaken: () => {},
    onLogLost: () => {},
  })
  const told = async () => {
    await reply.flush()
    const { entries } = await broker.tail('session:session', maxEntries)
    return entries.map(({ data }) => data as unknown as FeedEvent)
  }
  return { reply, onFull, told }
}

const piece = (id: string, text: string): ModelPart => ({ type: 'tool-call-delta', id, text })

it('joins the arguments of a tool call that come within a moment, each call’s and the text apart', async () => {
  const { reply, told } = startReply(262_144)
  reply.take({ type: 'tool-call-start', id: 'a', name: 'write' })
  for (let count = 0; count < 5_000; count += 1) reply.take(piece('a', 'abcd'))
  reply.take({ type: 'text-delta', text: 'so ' })
  reply.take({ type: 'text-delta', text: 'far' })
  for (let count = 0; count < 5_000; count += 1) reply.take(piece(count < 2_500 ? 'a' : 'b', 'efgh'))
  expect(await told()).toMatchObject([
    { type: 'ToolCallStarted', toolCallId: 'a' },
    { type: 'ToolCallDelta', toolCallId: 'a', text: 'abcd'.repeat(5_000) },
    { type: 'TextDelta', offset: 0, text: 'so far' },
    { type: 'ToolCallDelta', toolCallId: 'a', text: 'efgh'.repeat(2_500) },
    { type: 'ToolCallDelta', toolCallId: 'b', text: 'efgh'.repeat(2_500) },
  ])
})

it('holds text and arguments together to the limit, however the arguments come', async () => {
  const inPieces = startReply(1_000)
  inPieces.reply.take({ type: 'text-delta', text: 'x'.repeat(500) })
  for (let count = 0; count < 200; count += 1) inPieces.reply.take(piece('a', 'abcd'))
  expect(inPieces.onFull).toHaveBeenCalledTimes(1)
  expect(inPieces.reply.finishReason).toBe('LENGTH')
  expect(JSON.stringify(await inPieces.told()).length).toBeLessThan(1_500)

  const whole = startReply(1_000)
  const call = { id: 'a', name: 'write', arguments: { text: 'x'.repeat(600) } }
  for (const id of ['a', 'b']) whole.reply.take({ type: 'tool-call', call: { ...call, id } })
  expect(whole.onFull).toHaveBeenCalledTimes(1)
  expect(whole.reply.toolCalls).toEqual([call])

  const told = startReply(1_000)
  told.reply.take(piece('a', JSON.stringify(call.arguments)))
  told.reply.take({ type: 'tool-call', call })
  expect(told.onFull).not.toHaveBeenCalled()
  expect(told.reply.toolCalls).toEqual([call])
})
