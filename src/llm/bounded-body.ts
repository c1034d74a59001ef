/** A reply of a quarter of a megabyte of text, in pieces of one word each with all that is said around them. */
const maxBytes = 128 * 1024 * 1024
/** A list of models, or a hundred vectors. */
const lineMaxBytes = 16 * 1024 * 1024

const lineFeed = 10

/**
 * The body up to what a provider may send at all: no more than 128 MiB, and no line of more than 16 MiB, which readers
 * keep in memory until it ends. Past that it breaks off with what `fault` gives, and the provider is not read any more.
 */
export function createBoundedBody(fault: () => Error): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0
  let lineBytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.length
      const at = chunk.lastIndexOf(lineFeed)
      lineBytes = at < 0 ? lineBytes + chunk.length : chunk.length - at - 1
      if (bytes > maxBytes || lineBytes > lineMaxBytes) controller.error(fault())
      else controller.enqueue(chunk)
    },
  })
}
