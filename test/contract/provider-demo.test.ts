import { createDemoProvider } from '../../src/llm/demo.ts'
import { providerSuite } from './provider.suite.ts'

providerSuite('demo', async () => ({
  provider: createDemoProvider({ tokensPerSecond: 5_000 }),
  model: 'chat',
  situations: {
    says: (text) => `/repeat ${text}`,
    calls: (tool, input) => `/tool ${tool} ${JSON.stringify(input)}`,
    fails: (kind) => `/fail ${kind}`,
    failsAfterText: () => '/fail connection after 3',
    stallsAtOnce: () => '/stall',
    stallsAfterText: () => '/stall after 1',
    reachesLimit: () => '/long 50',
  },
  stop: async () => {},
}))
