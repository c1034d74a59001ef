import type { OperationVariables, TypedDocumentNode } from '@apollo/client'
import { useMutation } from '@apollo/client/react'
import { useState } from 'react'

/** What kept something from being done, in words for people; `fields` tells which inputs are to be mended. */
export type Fault = { code: string; message: string; fields: readonly { path: string; message: string }[] }

type ResultOf<Data> = Data[Exclude<keyof Data, '__typename'>]
/** What a mutation gives where it was carried out. */
export type Payload<Data> = Exclude<ResultOf<Data>, { code: unknown } | null | undefined>

/**
 * A mutation with one root field, and what came of its last call. `run` gives the payload, or null where there is a
 * fault; it never throws. `onFault` is for what ends after its view has gone, such as undoing from a toast.
 */
export function useAction<Data, Variables extends OperationVariables>(
  document: TypedDocumentNode<Data, Variables>,
  { onFault }: { onFault?: (fault: Fault) => void } = {},
) {
  const [mutate, { loading: isBusy }] = useMutation<Data>(document)
  const [fault, setFault] = useState<Fault | null>(null)

  async function run(variables: Variables): Promise<Payload<Data> | null> {
    setFault(null)
    try {
      const { data } = await mutate({ variables })
      const result = Object.values(data ?? {}).find((value) => typeof value === 'object') as
        | object
        | undefined
      if (!result || 'code' in result) throw result ?? new Error('The server sent no answer.')
      return result as Payload<Data>
    } catch (error) {
      const found = faultOf(error)
      setFault(found)
      onFault?.(found)
      return null
    }
  }
  return { run, isBusy, fault }
}

/** Of an error object of the API, a failed request, or anything thrown. */
export function faultOf(error: unknown): Fault {
  const { message, code, fields, errors } = error as Partial<Fault> & { errors?: readonly GraphQLFault[] }
  const [first] = errors ?? []
  return {
    code: first?.extensions?.code ?? code ?? 'UNKNOWN',
    message: first?.message ?? message ?? 'Something went wrong.',
    fields: fields ?? [],
  }
}

type GraphQLFault = { message: string; extensions?: { code?: string } }

/** What is wrong with one input; undefined where nothing is. */
export const faultAt = (fault: Fault | null, path: string): string | undefined =>
  fault?.fields.find((field) => isAt(field.path, path))?.message

/** Whether a fault is of this input, or of something within it. */
export const isAt = (path: string, place: string) => path === place || path.startsWith(`${place}.`)
