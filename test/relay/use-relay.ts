import { deepStrictEqual, ok } from 'node:assert/strict'
import {
  commitMutation,
  createOperationDescriptor,
  type Environment,
  fetchQuery,
  getRequest,
  type MutationParameters,
  type OperationType,
  requestSubscription,
} from 'relay-runtime'
import createMutation from './__generated__/operationsCreateMutation.graphql.ts'
import feedSubscription from './__generated__/operationsFeedSubscription.graphql.ts'
import listQuery from './__generated__/operationsListQuery.graphql.ts'
import nodeQuery from './__generated__/operationsNodeQuery.graphql.ts'
import renameMutation from './__generated__/operationsRenameMutation.graphql.ts'

type Listed = { sessions: { __id: string; edges: { node: { id: string } }[] } }

/**
 * Uses the API through Relay, with what its compiler made: a connection in its store, a mutation that appends to it, a
 * subscription that changes what is shown of it, an object by its global id. Throws where one of them does not work.
 */
export async function useRelay(environment: Environment): Promise<void> {
  const shown = createOperationDescriptor(getRequest(listQuery), { count: 100 })
  environment.retain(shown)
  const read = (query: typeof listQuery, variables: object) =>
    fetchQuery<OperationType>(environment, query, variables).toPromise()
  const listed = () => (environment.lookup(shown.fragment).data as unknown as Listed).sessions
  const titleOf = (id: string) => environment.getStore().getSource().get(id)?.title
  const commit = (mutation: typeof createMutation, variables: Record<string, unknown>) =>
    new Promise<void>((resolve, reject) =>
      commitMutation<MutationParameters>(environment, {
        mutation,
        variables,
        onCompleted: () => resolve(),
        onError: reject,
      }),
    )

  await read(listQuery, { count: 100 })
  const before = listed().edges.length
  await commit(createMutation, { input: { title: 'By Relay' }, connections: [listed().__id] })
  deepStrictEqual(listed().edges.length, before + 1)
  const id = listed().edges.at(-1)?.node.id ?? ''
  deepStrictEqual(titleOf(id), 'By Relay')

  await new Promise<void>((resolve, reject) => {
    const feed = requestSubscription(environment, {
      subscription: feedSubscription,
      variables: { sessionId: id },
      onNext(event) {
        const { __typename } = (event as { sessionEvents: { __typename: string } }).sessionEvents
        if (__typename === 'SessionSnapshot')
          commit(renameMutation, { input: { sessionId: id, title: 'Renamed' } }).catch(reject)
        if (__typename !== 'SessionUpdated') return
        feed.dispose()
        resolve()
      },
      onError: reject,
    })
  })
  deepStrictEqual(titleOf(id), 'Renamed')

  const found = (await read(nodeQuery, { id })) as { node: { id: string; title: string } }
  ok(found.node.id === id && found.node.title === 'Renamed')
}
