import { type GraphQLSchema, isObjectType } from 'graphql'

/**
 * Has what resolvers throw come as a promise that is rejected. The executor (@graphql-tools/executor 2) leaves
 * a list as soon as an item throws, and forgets the items before it that it waits for: when one of these fails, too, nobody
 * hears of it, which ends the process.
 */
export function withLateFailures(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap()))
    if (isObjectType(type))
      for (const field of Object.values(type.getFields())) {
        const { resolve } = field
        if (!resolve) continue
        field.resolve = (...given) => {
          try {
            return resolve(...given)
          } catch (error) {
            return Promise.reject(error)
          }
        }
      }
  return schema
}
