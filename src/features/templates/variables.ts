import { type FieldFault, ValidationError } from '../../lib/errors.ts'

const placeholder = /\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}/g

/**
 * Puts values in the place of `{{name}}` in all texts, each once: what a value says is never looked at for names. Throws
 * a `ValidationError` that lists every name without a value, and every value without a place.
 */
export function fillIn(
  texts: readonly string[],
  variables: Readonly<Record<string, string | number | boolean>>,
): string[] {
  const wanted = new Set(
    texts.flatMap((text) => [...text.matchAll(placeholder)].map(([, name = '']) => name)),
  )
  const faults: FieldFault[] = [
    ...[...wanted]
      .filter((name) => !Object.hasOwn(variables, name))
      .map((name) => ({ path: `variables.${name}`, message: 'is missing; the template has a place for it' })),
    ...Object.keys(variables)
      .filter((name) => !wanted.has(name))
      .map((name) => ({ path: `variables.${name}`, message: 'has no place in the template' })),
  ]
  if (faults.length > 0) throw new ValidationError(faults)
  return texts.map((text) => text.replace(placeholder, (_place, name: string) => String(variables[name])))
}
