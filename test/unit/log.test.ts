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

it('of an error what it is and where reaches the log, and nothing that it carries', () => {
  // As PostgreSQL has it for whom no row-level security holds, and vendors' errors of their requests.
  const carried = `{ detail: 'Failing row contains (hush-hush)', where: 'hush-hush', request: { body: 'hush-hush' } }`
  const known = `{ code: '23514', constraint: 'positive', table: 'sessions' }`
  const line = logged(
    `{ err: Object.assign(new Error('refused', { cause: new Error('below') }), ${carried}, ${known}) }`,
  )
  expect(JSON.parse(line).err).toEqual({
    type: 'Error',
    message: 'refused: below',
    stack: expect.stringContaining('caused by: Error: below'),
    code: '23514',
    constraint: 'positive',
    table: 'sessions',
  })
})
