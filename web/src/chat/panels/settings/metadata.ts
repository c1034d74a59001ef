/** What was written as JSON, if it is an object; nothing written is an empty one. */
export function readObject(text: string): { value: Record<string, unknown> } | { fault: string } {
  try {
    const value: unknown = JSON.parse(text.trim() || '{}')
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { fault: 'is not an object' }
    return { value: value as Record<string, unknown> }
  } catch (error) {
    return { fault: `is not JSON: ${(error as Error).message}` }
  }
}
