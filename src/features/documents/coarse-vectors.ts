import type { Vector } from './embedder.ts'

/**
 * A vector in a byte for each dimension: an eighth of the bytes that PostgreSQL sends for its numbers, and by how much it
 * is wrong at most is known. First comes the size of a step, as a little-endian 32-bit float.
 */
const headBytes = 4
const steps = 127

/** How many bytes one of so many dimensions has. */
export const coarseBytes = (dimensions: number) => headBytes + dimensions

export function coarsen(vector: Vector): Buffer {
  const step = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / steps
  const bytes = Buffer.alloc(coarseBytes(vector.length))
  bytes.writeFloatLE(step)
  for (const [index, value] of vector.entries())
    bytes.writeInt8(step === 0 ? 0 : Math.round(value / step), headBytes + index)
  return bytes
}

/** More than what 32-bit floats round away of vectors of length 1. */
const roundingError = 1e-6

/**
 * The highest that the cosine of the query and a coarsened vector can be, both of length 1: no number is off by more than
 * half a step. Null where they are of different models.
 */
export function createCeiling(query: Vector): (coarse: Buffer) => number | null {
  const floats = Float32Array.from(query)
  const halfSteps = query.reduce((sum, value) => sum + Math.abs(value), 0) / 2
  return (coarse) => {
    if (coarse.length !== coarseBytes(floats.length)) return null
    const values = new Int8Array(coarse.buffer, coarse.byteOffset + headBytes, floats.length)
    let sum = 0
    for (let index = 0; index < values.length; index += 1)
      sum += (values[index] as number) * (floats[index] as number)
    return (sum + halfSteps) * coarse.readFloatLE() + roundingError
  }
}
