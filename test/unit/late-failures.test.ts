import { buildSchema, type GraphQLObjectType } from 'graphql'
import { createYoga } from 'graphql-yoga'
import { expect, it } from 'vitest'
import { withLateFailures } from '../../src/graphql/late-failures.ts'

const items = [{ isSlow: true }, { isSlow: false }]

/** The first item waits for a field of it, the second throws at once. */
function failingLists() {
  const schema = buildSchema('type Query { items: [Item!]! } type Item { name: String! fails: String! }')
  const [query, item] = ['Query', 'Item'].map((name) =>
    (schema.getType(name) as GraphQLObjectType).getFields(),
  )
  if (!query?.items || !item?.name || !item.fails) throw new Error('There is no such field.')
  query.items.resolve = () => items
  item.name.resolve = ({ isSlow }) => (isSlow ? new Promise((resolve) => setTimeout(resolve, 5, 'x')) : 'x')
  item.fails.resolve = () => {
    throw new Error('As it must.')
  }
  return schema
}

it('no failure of an item in a list goes unheard', async () => {
  const unheard: unknown[] = []
  const hear = (reason: unknown) => unheard.push(reason)
  process.on('unhandledRejection', hear)
  try {
    const yoga = createYoga({ schema: withLateFailures(failingLists()), logging: false })
    const response = await yoga.fetch('http://localhost/graphql?query={items{name,fails}}')
    expect(await response.json()).toMatchObject({ data: null, errors: [{}] })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(unheard).toEqual([])
  } finally {
    process.off('unhandledRejection', hear)
  }
})
