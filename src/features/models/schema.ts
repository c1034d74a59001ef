import { builder } from '../../graphql/builder.ts'

const ModelCapability = builder.enumType('ModelCapability', {
  description: 'What a model can do.',
  values: {
    TEXT: { description: 'Answers in text.' },
    TOOLS: { description: 'Can call tools.' },
    VISION: { description: 'Takes pictures.' },
    EMBEDDINGS: { description: 'Turns text into vectors.' },
  } as const,
})

const ModelStatus = builder.enumType('ModelStatus', {
  description: 'Whether a model can be used now.',
  values: {
    AVAILABLE: { description: 'Its provider answers.' },
    UNAVAILABLE: { description: 'Its provider is configured, but does not answer.' },
  } as const,
})

const ModelPricing = builder
  .objectRef<{ input: string; output: string; cachedInput: string }>('ModelPricing')
  .implement({
    description: 'US dollars for a million tokens. Costs are reckoned by it when a run ends.',
    fields: (t) => ({
      input: t.expose('input', { type: 'Decimal', description: 'Tokens sent to the model.' }),
      output: t.expose('output', { type: 'Decimal', description: 'Tokens that it writes.' }),
      cachedInput: t.expose('cachedInput', {
        type: 'Decimal',
        description: 'Tokens sent to the model that its provider had cached.',
      }),
    }),
  })

const Model = builder
  .objectRef<{
    id: string
    provider: string
    name: string
    contextWindow?: number
    capabilities: readonly ('TEXT' | 'TOOLS' | 'VISION' | 'EMBEDDINGS')[]
    status: 'AVAILABLE' | 'UNAVAILABLE'
  }>('Model')
  .implement({
    description: 'A model that can answer.',
    fields: (t) => ({
      id: t.exposeString('id', { description: 'Model id as sends take it: `provider:name`.' }),
      provider: t.exposeString('provider', { description: 'Who runs it: `openai`, `demo`.' }),
      name: t.exposeString('name', { description: 'Its name at the provider.' }),
      contextWindow: t.exposeInt('contextWindow', {
        nullable: true,
        description: 'Tokens that fit into one request; null where the provider does not tell it.',
      }),
      capabilities: t.field({
        type: [ModelCapability],
        description: 'What it can do.',
        resolve: (model) => [...model.capabilities],
      }),
      status: t.expose('status', { type: ModelStatus, description: 'Whether it can be used now.' }),
      pricing: t.field({
        type: ModelPricing,
        nullable: true,
        description: 'What it costs: nothing for models on own machines, null where it is not known.',
        resolve: ({ id }, _args, context) => context.services.models.priceOf(id),
      }),
      isDefault: t.boolean({
        description: 'Whether it answers where nobody chose a model.',
        resolve: (model, _args, context) => model.id === context.services.models.defaultModel,
      }),
    }),
  })

builder.queryField('models', (t) =>
  t.field({
    type: [Model],
    description: 'The models of every configured provider.',
    resolve: (_root, _args, context) => context.services.models.list(),
  }),
)
