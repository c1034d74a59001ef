import { describe, expect, it, onTestFinished } from 'vitest'
import { type Provider, ProviderError } from '../../src/llm/provider.ts'
import { startTestApp } from '../support/app.ts'
import { createRecordingProvider, recordedModel as model } from '../support/recording-provider.ts'

describe('a provider that is down', () => {
  const unreached = () => new ProviderError('connection', 'recorded did not answer', { isUnreached: true })

  /** A server with one provider, which can be listed while it is there. */
  async function setUp(isThere: boolean) {
    const recording = createRecordingProvider()
    const state = { isThere }
    const provider: Provider = {
      ...recording.provider,
      async list() {
        if (!state.isThere) throw unreached()
        return recording.provider.list()
      },
    }
    const own = await startTestApp({ providers: [provider], env: { DEFAULT_MODEL: model, RUN_RETRIES: '0' } })
    onTestFinished(() => own.stop())
    const api = own.api()
    return { api, recording, state, sessionId: await api.createSession() }
  }

  const refused = {
    code: 'MODEL_UNAVAILABLE',
    message: `"recorded" cannot be reached now, so "${model}" is not available.`,
  }

  it('is shown so, and its sends fail at once without asking it', async () => {
    const { api, recording, sessionId } = await setUp(false)
    expect(await api.sendMessage({ sessionId, content: 'Hi' })).toEqual(refused)
    expect((await api.run(`{ model(id: "${model}") { status } }`)).model.status).toBe('UNAVAILABLE')
    expect(recording.calls).toHaveLength(0)
    const { session } = await api.run('query ($id: ID!) { session(id: $id) { messageCount } }', {
      id: sessionId,
    })
    expect(session.messageCount).toBe(0)
  })

  it('is known by the send that finds it so', async () => {
    const { api, recording, state, sessionId } = await setUp(true)
    const first = api.sendMessage({ sessionId, content: 'Hi', wait: true })
    const call = await recording.call(0)
    state.isThere = false
    call.tell({ type: 'error', error: unreached() })
    expect((await first).run.status).toBe('FAILED')
    expect(await api.sendMessage({ sessionId, content: 'Hi again' })).toEqual(refused)
  })
})
