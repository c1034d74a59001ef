import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

const logged = (fields: string) =>
  execFileSync(process.execPath, ['--input-type=module', '--eval', script(fields)], { encoding: 'utf8' })

const script = (fields: string) =>
  `const { createLog } = await import(${JSON.stringify(new URL('../../src/telemetry/log.ts', import.meta.url).href)})
  createLog({ level: 'info' }, false).info(${fields}, 'said')`

it.each([
  ['at the top', `{ token: 'hush-hush' }`],
  ['in an object', `{ headers: { authorization: 'hush-hush', cookie: 'hush-hush' } }`],
  ['two objects deep', `{ request: { headers: { authorization: 'hush-hush' } } }`],
  [
    'in settings',
    `{ config: { openai: { apiKey: 'hush-hush' }, secret: 'hush-hush', password: 'hush-hush' } }`,
  ],
])('a secret %s does not reach the log', (_where, fields) => {
  const line = logged(fields)
  expect(line).toContain('"msg":"said"')
  expect(line).toContain('[redacted]')
  expect(line).not.toContain('hush-hush')
})
