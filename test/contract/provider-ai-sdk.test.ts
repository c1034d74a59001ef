import type { ProviderErrorKind } from '../../src/llm/provider.ts'
import { createModelServer, type ModelAnswer } from '../support/model-server.ts'
import { apiKey, listAnswers, type Vendor, vendors } from '../support/model-vendors.ts'
import { type ProviderSubject, providerSuite } from './provider.suite.ts'

const failures: Record<ProviderErrorKind, ModelAnswer> = {
  unauthorized: { status: 401, body: { error: { message: 'Wrong key' } } },
  'rate-limited': { status: 429, body: { error: { message: 'Slow down' } } },
  overloaded: { status: 503, body: 'upstream connect error' },
  invalid: { status: 400, body: { error: { message: 'max_tokens is too large' } } },
  connection: { status: 302, headers: { location: '/elsewhere' } },
}

const usage = { inputTokens: 12, outputTokens: 7, cachedInputTokens: 4 }

/** The same provider, with the answers of a local server that speaks its protocol. */
async function createSubject(vendor: Vendor): Promise<ProviderSubject> {
  const server = await createModelServer()
  const next = (answer: ModelAnswer) => {
    server.answer(answer)
    return 'A question'
  }
  const provider = vendors[vendor]({ apiKey, baseUrl: server.url })
  return {
    provider: {
      ...provider,
      list() {
        server.answer(...listAnswers(vendor, 'test-model'))
        return provider.list()
      },
    },
    callsComeWhole: vendor === 'google' || vendor === 'ollama',
    model: 'test-model',
    situations: {
      says: (text) => next({ speech: { text: [text], usage }, byteByByte: true }),
      calls: (name, input) =>
        next({
          speech: {
            toolCalls: [{ id: 'call_1', name, pieces: JSON.stringify(input).match(/.{1,9}/gsu) ?? [] }],
            usage,
            finish: 'tool-calls',
          },
        }),
      fails: (kind) => next(failures[kind]),
      failsAfterText: () => next({ speech: { text: ['Half a '] }, afterwards: 'cut' }),
      stallsAtOnce: () => next({ speech: {}, afterwards: 'hang' }),
      stallsAfterText: () => next({ speech: { text: ['One'] }, afterwards: 'hang' }),
      reachesLimit: () => next({ speech: { text: ['Too long'], usage, finish: 'length' } }),
    },
    stop: () => server.close(),
  }
}

for (const vendor of Object.keys(vendors) as Vendor[]) providerSuite(vendor, () => createSubject(vendor))
