import { digestOf } from '../lib/digest.ts'

/** Named statements stay prepared; the combinations of filters that are really used are few, but many are possible. */
export function createStatementNames(prefix: string) {
  const names = new Map<string, string>()
  return (text: string): string => {
    const known = names.get(text)
    if (known !== undefined) return known
    const name = names.size < 200 ? `${prefix}-${digestOf(text).slice(0, 16)}` : ''
    if (name !== '') names.set(text, name)
    return name
  }
}
