import { execFile } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { createTokens } from '../../src/auth/jwt.ts'
import { loadConfig } from '../../src/config.ts'
import { ec, pemOf } from '../support/forge.ts'

const start = `import('${new URL('../../src/cli/token.ts', import.meta.url)}').then((m) => m.run(process.argv.slice(1)))`

function token(args: string[], env: Record<string, string> = {}) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, ['-e', start, '--', ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    )
  })
}

describe('token', () => {
  test('prints a token that the server accepts, and nothing else', async () => {
    const env = { JWT_SECRET: 's'.repeat(32), JWT_ISSUER: 'parley' }
    const args = [
      '--user',
      'alice',
      '--tenant',
      'acme',
      '--role',
      'admin',
      '--expires',
      '90m',
      '--name',
      'Alice A.',
    ]
    const { code, stdout, stderr } = await token([...args, '--email', 'alice@example.org'], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^\S+\n$/)
    const claims = await createTokens(loadConfig(env).auth).verify(stdout.trim())
    expect(claims).toMatchObject({
      subject: 'alice',
      tenant: 'acme',
      role: 'ADMIN',
      name: 'Alice A.',
      email: 'alice@example.org',
    })
    expect(claims.expiresAt.getTime() - claims.issuedAt.getTime()).toBe(90 * 60_000)
  })

  test('needs no more than a user', async () => {
    const { code, stdout } = await token(['--user', 'bob'])
    expect(code).toBe(0)
    const claims = await createTokens(loadConfig({}).auth).verify(stdout.trim())
    expect(claims).toMatchObject({ subject: 'bob', tenant: 'demo', role: 'USER' })
  })

  test.each([
    ['no user', [], /--user is missing/],
    ['an empty user', ['--user', ''], /--user is missing/],
    ['an unknown option', ['--user', 'a', '--admin'], /Unknown option '--admin'/],
    ['a stray argument', ['alice'], /Unexpected argument 'alice'/],
    [
      'an unknown role',
      ['--user', 'a', '--role', 'root'],
      /--role root is unknown; allowed: user, admin, service/,
    ],
    ['a duration without a unit', ['--user', 'a', '--expires', '60'], /--expires 60 .* from 1s to 365d/],
    ['a duration of nothing', ['--user', 'a', '--expires', '0s'], /--expires 0s .* from 1s to 365d/],
    ['a duration beyond a year', ['--user', 'a', '--expires', '366d'], /--expires 366d .* from 1s to 365d/],
    [
      'a tenant that the server refuses',
      ['--user', 'a', '--tenant', 'A B'],
      /tenant is not a tenant; allowed/,
    ],
  ])('refuses %s', async (_, args, message) => {
    const { code, stdout, stderr } = await token(args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/\nUsage: token --user/)
  })

  test('refuses where only a public key is known', async () => {
    const { code, stdout, stderr } = await token(['--user', 'a'], { JWT_PUBLIC_KEY: pemOf(ec.publicKey) })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/only the identity provider/)
  })

  test('refuses the development secret in production', async () => {
    const { code, stdout, stderr } = await token(['--user', 'a'], { NODE_ENV: 'production' })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/JWT_SECRET: the development secret is not allowed/)
  })
})
