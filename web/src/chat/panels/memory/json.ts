/** A value as people write it: a text stands as it is, anything else as JSON. */
export const textOf = (value: unknown): string =>
  typeof value === 'string' && !isJson(value) ? value : JSON.stringify(value, null, 2)

/** What was written; a text that is no JSON stands for itself, unless it begins like JSON. */
export function readValue(text: string): { value: unknown } | { fault: string } {
  const trimmed = text.trim()
  if (trimmed === '') return { fault: 'is empty' }
  try {
    const value: unknown = JSON.parse(trimmed)
    return value === null ? { fault: 'is null; delete the memory instead' } : { value }
  } catch (error) {
    if (/^[[{"]/.test(trimmed)) return { fault: `is not JSON: ${(error as Error).message}` }
    return { value: trimmed }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return /^\s*[[{"]/.test(text)
  }
}
