/** What documents may be made of; the server reads nothing else. */
const kinds = [
  { mimeType: 'application/pdf', extensions: ['pdf'], name: 'PDF' },
  { mimeType: 'text/markdown', extensions: ['md', 'markdown'], name: 'Markdown' },
  { mimeType: 'text/plain', extensions: ['txt', 'text', 'log', 'csv'], name: 'Text' },
] as const

export type FileKind = (typeof kinds)[number]

export const acceptedFiles = kinds
  .flatMap(({ mimeType, extensions }) => [mimeType, ...extensions.map((each) => `.${each}`)])
  .join(',')

/** By its ending, since browsers know no type of Markdown on most systems; undefined where it cannot be read. */
export function kindOf(file: { name: string; type: string }): FileKind | undefined {
  const extension = file.name.split('.').at(-1)?.toLowerCase() ?? ''
  return (
    kinds.find(({ extensions }) => extensions.some((each) => each === extension)) ??
    kinds.find(({ mimeType }) => mimeType === file.type)
  )
}

export const nameOfKind = (mimeType: string): string =>
  kinds.find((kind) => kind.mimeType === mimeType)?.name ?? mimeType

/** Standard base64 without line breaks, read off the main thread by the browser. */
export async function base64Of(file: Blob): Promise<string> {
  const reader = new FileReader()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''))
  reader.onerror = () => reject(reader.error)
  reader.readAsDataURL(file)
  return promise
}
