import { z } from 'zod'
import { ValidationError } from '../lib/errors.ts'
import { decodeIdOf, type IdType } from '../lib/ids.ts'

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
