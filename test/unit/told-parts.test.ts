import { describe, expect, it } from 'vitest'
import { takeEach } from '../../src/lib/polled.ts'
import { type ModelPart, ProviderError } from '../../src/llm/provider.ts'
import { type Tell, toldParts } from '../../src/llm/told-parts.ts'

const word = (text: string): ModelPart => ({ type: 'text-delta', text })
const end: ModelPart = { type: 'end', finishReason: 'stop' }
const cancelled: ModelPart = { type: 'end', finishReason: 'cancelled' }
const toError = (error: unknown) => new ProviderError('connection', String(error))

/** A stream that the test tells, and what was read of it. */
function createTold(signal = new AbortController().signal) {
  const done = Promise.withResolvers<void>()
  let tell: Tell = () => {}
  const stream = toldParts(
    signal,
    (given) => {
      tell = given
      return done.promise
    },
    toError,
  )
  return { stream, tell: (...parts: ModelPart[]) => parts.forEach((part) => void tell(part)), done }
}

describe('parts that are told', () => {
  it('are taken at once, also those that come while one is taken', async () => {
    const { stream, tell, done } = createTold()
    const taken: ModelPart[] = []
    const all = takeEach(stream, (part) => {
      taken.push(part)
      if (taken.length === 1) tell(word('b'))
      return true
    })
    tell(word('a'))
    expect(taken).toEqual([word('a'), word('b')])
    tell(end)
    done.resolve()
    await all
    expect(taken.at(-1)).toEqual(end)
  })

  it('wait in order for one that is taken later', async () => {
    const { stream, tell, done } = createTold()
    const gate = Promise.withResolvers<boolean>()
    const taken: ModelPart[] = []
    const all = takeEach(stream, (part) => {
      taken.push(part)
      return taken.length === 1 ? gate.promise : true
    })
    tell(word('a'), word('b'), end)
    done.resolve()
    expect(taken).toEqual([word('a')])
    gate.resolve(true)
    await all
    expect(taken).toEqual([word('a'), word('b'), end])
  })

  it('lose nobody who reads with promises, however many come at once', async () => {
    const { stream, tell, done } = createTold()
    const read = Array.fromAsync(stream)
    await Promise.resolve()
    tell(word('a'), word('b'), end)
    done.resolve()
    expect(await read).toEqual([word('a'), word('b'), end])
  })

  it('end as cancelled at once when the signal aborts, whatever the work still does', async () => {
    const stopping = new AbortController()
    const { stream, tell } = createTold(stopping.signal)
    const gate = Promise.withResolvers<boolean>()
    const taken: ModelPart[] = []
    const all = takeEach(stream, (part) => {
      taken.push(part)
      return taken.length === 1 ? gate.promise : true
    })
    tell(word('a'), word('b'))
    stopping.abort()
    tell(word('c'))
    gate.resolve(true)
    await all
    expect(taken).toEqual([word('a'), cancelled])
  })

  it('end with what the work fails with', async () => {
    const { stream, tell, done } = createTold()
    const read = Array.fromAsync(stream)
    tell(word('a'))
    done.reject('the line is dead')
    expect((await read).at(-1)).toMatchObject({ type: 'error', error: { message: 'the line is dead' } })
  })

  it('are left by one who wants no more, or fails', async () => {
    const [left, failed] = [createTold(), createTold()]
    const all = takeEach(left.stream, () => false)
    const failing = takeEach(failed.stream, () => {
      throw new Error('no')
    })
    for (const { tell } of [left, failed]) tell(word('a'), word('b'))
    await all
    await expect(failing).rejects.toThrow('no')
    for (const { stream } of [left, failed]) expect(stream.poll(() => {})).toMatchObject({ done: true })
  })
})
