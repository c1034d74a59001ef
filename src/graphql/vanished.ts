import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core'
import type { GraphQLFieldResolver } from 'graphql'
import { NotFoundError } from '../lib/errors.ts'

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      vanished: VanishedPlugin<Types>
    }
  }
}

type Resolver<Types extends SchemaTypes> = GraphQLFieldResolver<unknown, Types['Context'], object>

/**
 * Prisma reads what hangs on a row by a statement of its own, and between the two somebody may remove it: a message that
 * is rolled back, a person who is erased. Where it must be there by the schema, that is an answer and no fault of the
 * server.
 */
class VanishedPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolve: Resolver<Types>,
    { extensions, type, name }: PothosOutputFieldConfig<Types>,
  ): Resolver<Types> {
    if (!extensions?.pothosPrismaRelationField || type.nullable) return resolve
    return async (parent, args, context, info) => {
      const found = await resolve(parent, args, context, info)
      if (found == null) throw new NotFoundError(name)
      return found
    }
  }
}

SchemaBuilder.registerPlugin('vanished', VanishedPlugin)

export default 'vanished' as const
