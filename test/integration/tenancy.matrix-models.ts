import { expect } from 'vitest'
import type { Case } from './tenancy.matrix.ts'

const failed = (field: string, code: string) => ({ data: { [field]: expect.objectContaining({ code }) } })
const refusedWith = (code: string) => ({
  errors: [expect.objectContaining({ extensions: expect.objectContaining({ code }) })],
})
const forAdmins = (name: string, input: string, code: string): Case => ({
  operation: `mutation { ${name}(input: { ${input} }) { __typename ... on Error { code message } } }`,
  refused: failed(name, code),
  exceptFor: { role: 'USER', refused: failed(name, 'FORBIDDEN') },
})

/** The part of the matrix for models and servers: they belong to no tenant, but settings of models do. */
export const modelsAndSystem: Record<string, Case[]> = {
  'Query.models': [
    { operation: '{ models { id defaultParameters } }', refused: { data: expect.anything() } },
  ],
  'Query.model': [
    {
      operation: '{ model(id: "demo:chat") { id isAllowed defaultParameters } }',
      refused: { data: { model: { id: 'demo:chat', isAllowed: true, defaultParameters: {} } } },
      isSharedInTenant: true,
    },
  ],
  'Query.limits': [
    { operation: '{ limits { messageMaxLength documentMaxBytes } }', refused: { data: expect.anything() } },
  ],
  'Query.systemStatus': [
    {
      operation: '{ systemStatus { version activeRuns queuedRuns } }',
      refused: { data: { systemStatus: { activeRuns: 0, queuedRuns: 0 } } },
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
  ],
  'Subscription.systemStatusChanged': [
    {
      operation: 'subscription { systemStatusChanged { version activeRuns queuedRuns } }',
      refused: { data: { systemStatusChanged: { activeRuns: 0, queuedRuns: 0 } } },
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
  ],
  'Mutation.loadModel': [forAdmins('loadModel', 'model: "demo:chat"', 'MODEL_UNAVAILABLE')],
  'Mutation.unloadModel': [forAdmins('unloadModel', 'model: "demo:chat"', 'MODEL_UNAVAILABLE')],
  'Mutation.pullModel': [forAdmins('pullModel', 'model: "demo:chat"', 'MODEL_UNAVAILABLE')],
  'Mutation.setModelDefaults': [forAdmins('setModelDefaults', 'model: "nobody:none"', 'MODEL_UNAVAILABLE')],
  'Query.modelPolicy': [
    {
      operation: '{ modelPolicy { onlyAllowed } }',
      refused: { data: { modelPolicy: { onlyAllowed: false } } },
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
  ],
  'Mutation.setModelPolicy': [
    {
      operation:
        'mutation { setModelPolicy(input: { onlyAllowed: false }) { ... on SetModelPolicyPayload { modelPolicy { onlyAllowed } } ... on Error { code } } }',
      refused: { data: { setModelPolicy: { modelPolicy: { onlyAllowed: false } } } },
      exceptFor: { role: 'USER', refused: failed('setModelPolicy', 'FORBIDDEN') },
    },
  ],
  'Subscription.modelProgress': [
    {
      operation: 'subscription { modelProgress(model: "nobody:none") { model status } }',
      refused: refusedWith('MODEL_UNAVAILABLE'),
      exceptFor: { role: 'USER', refused: refusedWith('FORBIDDEN') },
    },
  ],
}
