import { z } from 'zod'
import { ValidationError } from '../lib/errors.ts'
import { decodeId, decodeIdOf, encodeId, type IdType } from '../lib/ids.ts'
import { sameForAll } from './shared.ts'

/** Reads a global id of one type as the UUID in it; for `.validate` of an input field. */
export const idOf = (type: IdType) =>
  z.string().transform((id, context) => {
    try {
      return decodeIdOf(type, id)
    } catch (error) {
      if (!(error instanceof ValidationError)) throw error
      for (const { message } of error.fields) context.addIssue(message)
      return z.NEVER
    }
  })

/** The same for a list; how long it is is looked at first, for what is wrong with an id takes longer to tell than to send. */
export const idsOf = (type: IdType, max = 100) =>
  z
    .array(z.string())
    .max(max, `has more than ${max} entries`)
    .pipe(z.array(idOf(type)))

/** Whether it is an id of any type; what it names is found out later. */
export const anyId = z.string().superRefine((id, context) => {
  try {
    decodeId(id)
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error
    for (const { message } of error.fields) context.addIssue(message)
  }
})

/** For the compiler of operations: where the UUID stands that a field shows as a global id. */
export type GlobalIdField = { property: string; type: IdType }

/** For a field that shows the UUID under a property of its parent as a global id. */
export const globalIdIn = <Property extends string>(property: Property, type: IdType) => ({
  extensions: { ...sameForAll, globalId: { property, type } satisfies GlobalIdField },
  resolve: (parent: Readonly<Record<Property, string>>) => encodeId(type, parent[property]),
})
