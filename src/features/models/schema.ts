import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { modelId } from '../../lib/checks.ts'
import { namesTaken } from './parameters.ts'
import type { CatalogModel } from './service.ts'

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
    LOADED: {
      description: 'It is in memory and answers without loading first; only Ollama and `local` tell it.',
    },
    LOADING: { description: 'It is being brought into memory by `loadModel`.' },
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

export const Model = builder.objectRef<CatalogModel>('Model').implement({
  description: 'A model that can answer.',
  fields: (t) => ({
    id: t.exposeString('id', { description: 'Model id as sends take it: `provider:name`.' }),
    provider: t.exposeString('provider', { description: 'Who runs it: `openai`, `demo`.' }),
    name: t.exposeString('name', { description: 'Its name at the provider.' }),
    contextWindow: t.int({
      nullable: true,
      description: 'Tokens that fit into one request; null where that is not known.',
      resolve: ({ id }, _args, context) => context.services.models.takenBy(id).contextWindow,
    }),
    maxOutputTokens: t.int({
      nullable: true,
      description: 'The most tokens that it writes in one reply; null where that is not known.',
      resolve: ({ id }, _args, context) => context.services.models.takenBy(id).maxOutputTokens ?? null,
    }),
    parameters: t.stringList({
      description:
        'Names of the model parameters that it takes, such as `temperature`: others are refused where they are asked for. ' +
        'Of a model that is not known these are all.',
      resolve: ({ id }, _args, context) => namesTaken(context.services.models.takenBy(id)),
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
    defaultParameters: t.expose('defaultParameters', {
      type: 'JSON',
      description:
        'Model parameters of the tenant for it, such as `temperature`; those of agents, sessions and sends go over them.',
    }),
    isAllowed: t.exposeBoolean('isAllowed', {
      description: 'Whether the tenant allows it. One that is not allowed is shown to admins only.',
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
    description:
      'The models of every configured provider that the tenant allows; for admins, the others, too.',
    resolve: (_root, _args, context) => context.services.models.list(viewerOf(context)),
  }),
)

builder.queryField('model', (t) =>
  t.field({
    type: Model,
    nullable: true,
    description: 'One of `models`; null where there is none with this id.',
    args: {
      id: t.arg.string({ required: true, description: 'Model id: `provider:name`.' }).validate(modelId),
    },
    resolve: (_root, { id }, context) => context.services.models.find(viewerOf(context), id),
  }),
)
