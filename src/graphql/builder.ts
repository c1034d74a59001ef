import SchemaBuilder from '@pothos/core'
import ComplexityPlugin from '@pothos/plugin-complexity'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import ValidationPlugin from '@pothos/plugin-validation'
import WithInputPlugin from '@pothos/plugin-with-input'
import { z } from 'zod'
import { actsForTenant } from '../auth/policy.ts'
import type { Viewer } from '../auth/viewer.ts'
import type { Message } from '../db/client.ts'
import type PrismaTypes from '../db/generated/pothos.ts'
import { getDatamodel } from '../db/generated/pothos.ts'
import type { ContextPolicy } from '../lib/context-policy.ts'
import { ForbiddenError, ValidationError } from '../lib/errors.ts'
import { decodeId, encodeId, type IdType } from '../lib/ids.ts'
import { tooComplex } from './complexity.ts'
import { type Context, viewerOf } from './context.ts'
import { anyId } from './ids.ts'
import SignedInPlugin from './signed-in.ts'
import VanishedPlugin from './vanished.ts'

type Scalar<Output, Input = Output> = { Input: Input; Output: Output }

type SchemaTypes = {
  PrismaTypes: PrismaTypes
  Context: Context
  DefaultFieldNullability: false
  AuthScopes: { admin: boolean }
  /** Enums of one slice that the inputs of another name by string. */
  Inputs: {
    MessageRole: Message['role']
    ContextPolicyInput: ContextPolicy
    ToolCallInput: { id: string; name: string; arguments: object }
    AgentToolInput: {
      name: string
      description: string
      parameters: object
      requiresApproval?: boolean | null
    }
  }
  /** Types of one slice that others add fields to. */
  Objects: {
    Viewer: Viewer
    ContextPolicy: ContextPolicy
    MessageRole: Message['role']
    UserRole: Viewer['role']
  }
  Scalars: {
    ID: Scalar<string>
    DateTime: Scalar<Date>
    JSON: Scalar<unknown>
    JSONObject: Scalar<Record<string, unknown>>
    PositiveInt: Scalar<number>
    NonNegativeInt: Scalar<number>
    Decimal: Scalar<{ toString(): string }>
    Cursor: Scalar<string>
  }
}

const pascal = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)

export const builder = new SchemaBuilder<SchemaTypes>({
  // Errors come before validation, so that faults of the input are caught as data like any other failure.
  plugins: [
    ErrorsPlugin,
    SignedInPlugin,
    VanishedPlugin,
    ScopeAuthPlugin,
    ComplexityPlugin,
    PrismaPlugin,
    RelayPlugin,
    WithInputPlugin,
    ValidationPlugin,
  ],
  defaultFieldNullability: false,
  errors: {
    directResult: true,
    unsafelyHandleInputErrors: true,
    defaultUnionOptions: {
      name: ({ fieldName }) => `${pascal(fieldName)}Result`,
      description: 'The payload, or the failure that kept the mutation from being carried out.',
    },
  },
  scopeAuth: {
    authorizeOnSubscribe: true,
    treatErrorsAsUnauthorized: false,
    authScopes: (context) => ({
      admin: () => actsForTenant(viewerOf(context)),
    }),
    unauthorizedError: () => new ForbiddenError('This is for admins of the tenant.'),
  },
  complexity: {
    limit: ({ isAffordable, services }) =>
      isAffordable ? {} : { complexity: services.limits.operationCostMax },
    defaultListMultiplier: 5,
    complexityError: (_kind, { complexity, maxComplexity = 0 }) => tooComplex(complexity, maxComplexity),
  },
  prisma: {
    client: (context) => viewerOf(context).db.prisma,
    dmmf: getDatamodel(),
    onUnusedQuery: null,
  },
  relay: {
    encodeGlobalID: (type, id) => encodeId(type as IdType, String(id)),
    decodeGlobalID: (id) => {
      const { type, uuid } = decodeId(id)
      return { typename: type, id: uuid }
    },
    idFieldOptions: { description: 'Global id of the object, of the form `type_suffix`.' },
    nodeTypeOptions: { description: 'Anything that has a global id.' },
    nodeQueryOptions: {
      description:
        'The object with this id, or null where it does not exist or is not visible to the viewer.',
      nullable: true,
      args: { id: { description: 'Any id that the API gave out.' } },
    },
    nodesQueryOptions: {
      description: 'The objects with these ids, in the same order; null for each that is not visible.',
      nullable: { list: false, items: true },
      complexity: ({ ids }: { ids: readonly unknown[] }) => ({ field: 1, multiplier: ids.length }),
      args: {
        ids: {
          description: 'At most 100 ids.',
          validate: z
            .array(z.string())
            .max(100, 'has too many entries; at most 100 ids are allowed')
            .pipe(z.array(anyId)),
        },
      },
    },
  },
  withInput: { typeOptions: { name: ({ fieldName }) => `${pascal(fieldName)}Input` } },
  validation: {
    validationError: (failure) =>
      new ValidationError(
        failure.issues.map(({ path, message }) => ({
          path: (path ?? [])
            .map((step) => String(typeof step === 'object' ? step.key : step))
            .filter((step, index) => !(index === 0 && step === 'input'))
            .join('.'),
          message,
        })),
      ),
  },
})

builder.queryType({ description: 'Everything that can be read.' })
builder.mutationType({ description: 'Everything that can be changed.' })
builder.subscriptionType({ description: 'Everything that is told live.' })
