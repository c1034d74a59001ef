import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core'
import type { GraphQLFieldResolver } from 'graphql'
import { type Context, viewerOf } from './context.ts'

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      signedIn: SignedInPlugin<Types>
    }
  }
}

type Resolver<Types extends SchemaTypes> = GraphQLFieldResolver<unknown, Types['Context'], object>

/**
 * Whatever can be read, changed or followed is for signed-in callers only. A rule of scope-auth at the root types would say
 * the same, but it keeps what it found by the operation's context in a `WeakMap`, and whole requests then outlived
 * collections of young objects (`test/integration/request-garbage.test.ts`); without that cache they did not.
 */
class SignedInPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(resolve: Resolver<Types>, { kind }: PothosOutputFieldConfig<Types>) {
    return kind === 'Query' || kind === 'Mutation' ? guarded(resolve) : resolve
  }

  override wrapSubscribe(subscribe: Resolver<Types> | undefined, { kind }: PothosOutputFieldConfig<Types>) {
    return kind === 'Subscription' && subscribe ? guarded(subscribe) : subscribe
  }
}

const guarded =
  <Types extends SchemaTypes>(resolve: Resolver<Types>): Resolver<Types> =>
  (parent, args, context, info) => {
    viewerOf(context as Context)
    return resolve(parent, args, context, info)
  }

SchemaBuilder.registerPlugin('signedIn', SignedInPlugin)

export default 'signedIn' as const
