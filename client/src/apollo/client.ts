import { ApolloClient, ApolloLink } from '@apollo/client'
import { OperationTypeNode } from 'graphql'
import { Observable } from 'rxjs'
import { createParley, type Parley, type ParleyOptions } from '../parley.ts'
import { createParleyCache } from './cache.ts'

const clients = new WeakMap<ApolloClient, Parley>()

/**
 * An Apollo client for one server as one user: queries and mutations over HTTP, subscriptions over one shared WebSocket
 * (or SSE, with `transport: 'sse'`), both with the retries of `createParley`, and a cache that knows the schema. The hooks
 * of this entry need a client that was made here.
 */
export function createParleyApollo(options: ParleyOptions): ApolloClient {
  const parley = createParley(options)
  const client = new ApolloClient({ link: createParleyLink(parley), cache: createParleyCache() })
  clients.set(client, parley)
  return client
}

/** The connection behind a client of `createParleyApollo`; close it to end what is under way. */
export function parleyOf(client: ApolloClient): Parley {
  const parley = clients.get(client)
  if (!parley) throw new Error('This Apollo client was not made by createParleyApollo.')
  return parley
}

/** Carries every operation of an Apollo client over a connection that is there already; errors are `ParleyError`s. */
export function createParleyLink(parley: Parley): ApolloLink {
  return new ApolloLink(
    ({ query, variables, operationType }) =>
      new Observable((observer) => {
        const ending = new AbortController()
        const { signal } = ending
        const carry = async () => {
          if (operationType === OperationTypeNode.SUBSCRIPTION) {
            for await (const data of parley.subscribe<object, object>(query, variables, { signal }))
              observer.next({ data })
          } else observer.next({ data: await parley.request<object, object>(query, variables, { signal }) })
          observer.complete()
        }
        carry().catch((error) => {
          if (!signal.aborted) observer.error(error)
        })
        return () => ending.abort()
      }),
  )
}
