import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { modelId } from '../../lib/checks.ts'
import { ForbiddenError, LimitError, ModelUnavailableError, ValidationError } from '../../lib/errors.ts'
import type { ModelProgress as Progress } from './news.ts'
import { Model } from './schema.ts'
import type { CatalogModel, ModelPolicy } from './service.ts'

const ModelAction = builder.enumType('ModelAction', {
  description: 'What is done about a model.',
  values: {
    LOAD: { description: 'It is brought into memory.' },
    PULL: { description: 'It is fetched from where its provider gets models.' },
  } as const,
})

const ModelActionStatus = builder.enumType('ModelActionStatus', {
  description: 'How it stands.',
  values: {
    RUNNING: { description: 'It is under way.' },
    DONE: { description: 'It is done.' },
    FAILED: { description: 'It failed; `detail` tells why.' },
  } as const,
})

const ModelProgress = builder.objectRef<Progress>('ModelProgress').implement({
  description: 'How far a load or a download of a model is.',
  fields: (t) => ({
    model: t.exposeString('model', { description: 'Model id: `provider:name`.' }),
    action: t.expose('action', { type: ModelAction, description: 'What is done.' }),
    status: t.expose('status', { type: ModelActionStatus, description: 'How it stands.' }),
    detail: t.exposeString('detail', {
      nullable: true,
      description: "The provider's own word for the step, or for what went wrong.",
    }),
    completedBytes: t.exposeFloat('completedBytes', {
      nullable: true,
      description: 'Bytes of the present file that are there; null where there is nothing to count.',
    }),
    totalBytes: t.exposeFloat('totalBytes', {
      nullable: true,
      description: 'Bytes of the present file in all; a model has several, one after another.',
    }),
    at: t.field({ type: 'DateTime', description: 'When it was told.', resolve: ({ at }) => new Date(at) }),
  }),
})

const ofModel = (name: string, description: string) =>
  builder.objectRef<CatalogModel>(name).implement({
    description,
    fields: (t) => ({
      model: t.field({ type: Model, description: 'As it is now.', resolve: (model) => model }),
    }),
  })

const PullModelPayload = builder.objectRef<Progress>('PullModelPayload').implement({
  description: 'The download has begun, or goes on.',
  fields: (t) => ({
    progress: t.field({
      type: ModelProgress,
      description: 'Where it stands.',
      resolve: (progress) => progress,
    }),
  }),
})

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

const model = (t: InputFields) =>
  t.string({ required: true, description: 'Model id: `provider:name`.' }).validate(modelId)

const failures = { types: [ValidationError, ForbiddenError, ModelUnavailableError] }
const needsStore = 'MODEL_UNAVAILABLE with providers that keep their models elsewhere.'

builder.mutationField('loadModel', (t) =>
  t.fieldWithInput({
    type: ofModel('LoadModelPayload', 'The model is being loaded, or is in memory already.'),
    authScopes: { admin: true },
    description:
      'Begins to bring a model into memory, one of Ollama or of a GGUF file (`LOCAL_MODELS_DIR`), where it stays until `unloadModel`; for admins. Returns at once: ' +
      `\`modelProgress\` tells the end. ${needsStore}`,
    errors: failures,
    typeOptions: { description: 'The model to load.' },
    argOptions: { description: 'The model to load.' },
    input: { model: model(t.input) },
    resolve: (_root, { input }, context) => context.services.models.load(viewerOf(context), input.model),
  }),
)

builder.mutationField('unloadModel', (t) =>
  t.fieldWithInput({
    type: ofModel('UnloadModelPayload', 'The model is out of memory.'),
    authScopes: { admin: true },
    description: `Takes a model, of Ollama or of a GGUF file, out of memory, for admins; its next reply loads it again. ${needsStore}`,
    errors: failures,
    typeOptions: { description: 'The model to unload.' },
    argOptions: { description: 'The model to unload.' },
    input: { model: model(t.input) },
    resolve: (_root, { input }, context) => context.services.models.unload(viewerOf(context), input.model),
  }),
)

builder.mutationField('pullModel', (t) =>
  t.fieldWithInput({
    type: PullModelPayload,
    authScopes: { admin: true },
    description:
      'Begins to fetch a model, or its newer version, into Ollama; for admins. Returns at once: `modelProgress` tells how far ' +
      `it is and its end. ${needsStore}`,
    errors: failures,
    typeOptions: { description: 'The model to fetch.' },
    argOptions: { description: 'The model to fetch.' },
    input: { model: model(t.input) },
    resolve: (_root, { input }, context) => context.services.models.pull(viewerOf(context), input.model),
  }),
)

builder.mutationField('setModelDefaults', (t) =>
  t.fieldWithInput({
    type: ofModel('SetModelDefaultsPayload', 'The model was set for the tenant.'),
    authScopes: { admin: true },
    description:
      'Sets what the tenant wants of a model, for admins: what is left out stays. A model that is not allowed is shown to ' +
      'admins only, neither sends nor sessions, agents and templates can name it, and replies that wait for it fail. A ' +
      'tenant has settings of at most 500 models.',
    errors: { types: [...failures.types, LimitError] },
    typeOptions: { description: 'What to set.' },
    argOptions: { description: 'What to set.' },
    input: {
      model: model(t.input),
      parameters: t.input.field({
        type: 'JSONObject',
        description:
          'Model parameters in place of those that were set (temperature, topP, topK, maxOutputTokens, stop, seed), as far as ' +
          'the provider has them; null for none.',
      }),
      isAllowed: t.input.boolean({
        description:
          'Whether the tenant may use it; null for what `setModelPolicy` says, as it is until it is set.',
      }),
    },
    resolve: (_root, { input }, context) => context.services.models.setDefaults(viewerOf(context), input),
  }),
)

const ModelPolicyType = builder.objectRef<ModelPolicy>('ModelPolicy').implement({
  description: 'Which models the tenant allows of those that it does not speak of by name.',
  fields: (t) => ({
    onlyAllowed: t.exposeBoolean('onlyAllowed', {
      description:
        'Whether only those models may be used that `setModelDefaults` allowed by name; else all are but those that it forbade.',
    }),
  }),
})

const SetModelPolicyPayload = builder.objectRef<ModelPolicy>('SetModelPolicyPayload').implement({
  description: 'The policy was set for the tenant.',
  fields: (t) => ({
    modelPolicy: t.field({
      type: ModelPolicyType,
      description: 'As it is now.',
      resolve: (policy) => policy,
    }),
  }),
})

builder.queryField('modelPolicy', (t) =>
  t.field({
    type: ModelPolicyType,
    authScopes: { admin: true },
    description: 'Which models the tenant allows where it says nothing of them by name; for admins.',
    resolve: (_root, _args, context) => context.services.models.policyOf(viewerOf(context)),
  }),
)

builder.mutationField('setModelPolicy', (t) =>
  t.fieldWithInput({
    type: SetModelPolicyPayload,
    authScopes: { admin: true },
    description:
      'Sets whether a model may be used of which the tenant says nothing by name (`setModelDefaults`), for admins. That ' +
      'goes for the default model of the server, too.',
    errors: { types: [ForbiddenError] },
    typeOptions: { description: 'The policy to set.' },
    argOptions: { description: 'The policy to set.' },
    input: {
      onlyAllowed: t.input.boolean({
        required: true,
        description: 'Whether only models that are allowed by name may be used; false until it is set.',
      }),
    },
    resolve: (_root, { input }, context) => context.services.models.setPolicy(viewerOf(context), input),
  }),
)

builder.subscriptionField('modelProgress', (t) =>
  t.field({
    type: ModelProgress,
    authScopes: { admin: true },
    description:
      'Loads and downloads of a model, whatever server does them, for admins: where one stands that is under way, then each ' +
      'step. Goes on after the end of one.',
    args: {
      model: t.arg.string({ required: true, description: 'Model id: `provider:name`.' }).validate(modelId),
    },
    subscribe: (_root, { model }, context) => context.services.models.follow(model),
    resolve: (progress) => progress,
  }),
)
