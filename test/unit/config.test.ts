import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { ConfigError, developmentSecret, loadConfig } from '../../src/config.ts'

const root = join(import.meta.dirname, '../..')

function faultsOf(env: NodeJS.Dict<string>): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

test('connections of the network are counted by address where no proxy stands between', () => {
  expect(loadConfig({}).server.network.perAddress).toBe(2_000)
  expect(loadConfig({ TRUSTED_PROXY_HOPS: '1' }).server.network.perAddress).toBe(0)
})

describe('a fault', () => {
  test.each([
    ['PORT', 'http', '"http" is not a whole number; allowed is a whole number from 0 to 65535'],
    ['PORT', '-1', '"-1" is not a whole number; allowed is a whole number from 0 to 65535'],
    ['PORT', '1e3', '"1e3" is not a whole number; allowed is a whole number from 0 to 65535'],
    ['PORT', '65536', '"65536" is out of range; allowed is a whole number from 0 to 65535'],
    ['RUNS_PER_USER', '0', '"0" is out of range; allowed is a whole number of at least 1'],
    ['GRAPHIQL', 'yes', '"yes" is not a switch; allowed is true or false'],
    [
      'LOG_LEVEL',
      'loud',
      '"loud" is unknown; allowed is one of fatal, error, warn, info, debug, trace, silent',
    ],
    ['SESSION_LIMIT_POLICY', 'x', '"x" is unknown; allowed is one of deactivate_oldest, reject'],
    [
      'DATABASE_URL',
      'mysql://db',
      'the given value is not an address; allowed is a URL that begins with postgres://',
    ],
    [
      'REDIS_URL',
      'http://cache',
      'the given value is not an address; allowed is a URL that begins with redis:// or rediss://',
    ],
    ['REDIS_KEY_PREFIX', 'a b', 'the given value is not a prefix; allowed are up to 100 characters without'],
    ['REDIS_KEY_PREFIX', 'a{b}', 'the given value is not a prefix; allowed are up to 100 characters without'],
    [
      'OLLAMA_BASE_URL',
      'localhost',
      '"localhost" is not an address; allowed is a URL that begins with http://',
    ],
    ['DEFAULT_MODEL', 'chat', '"chat" is not a model id; allowed is provider:name, for example demo:chat'],
    ['OLLAMA_KEEP_ALIVE', 'long', '"long" is not a duration'],
    ['JWT_SECRET', 'short', 'the given value is too short; allowed is at least 32 characters'],
    [
      'JWT_PUBLIC_KEY',
      'ssh-rsa AAAA',
      'the given value is not a key; allowed is a PEM public key (RSA or EC)',
    ],
  ])('of %s=%s is named with what is allowed', (name, value, message) => {
    const faults = faultsOf({ [name]: value })
    expect(faults).toEqual([expect.stringMatching(new RegExp(`^${name}: `))])
    expect(faults[0]).toContain(message)
  })

  test('of two settings together is named', () => {
    const keys = { JWT_PUBLIC_KEY: '-----BEGIN PUBLIC KEY-----', JWT_JWKS_URL: 'https://id.example/jwks' }
    expect(faultsOf(keys)).toEqual([expect.stringMatching(/JWT_PUBLIC_KEY and JWT_JWKS_URL are both set/)])
    expect(faultsOf({ CHAT_DEFAULT_PAGE_SIZE: '50', CHAT_MAX_PAGE_SIZE: '20' })).toEqual([
      'CHAT_DEFAULT_PAGE_SIZE: 50 is above CHAT_MAX_PAGE_SIZE (20)',
    ])
    expect(faultsOf({ SLOW_READER_PAUSE_BYTES: '200000', SLOW_READER_CLOSE_BYTES: '100000' })).toEqual([
      'SLOW_READER_PAUSE_BYTES: 200000 is above SLOW_READER_CLOSE_BYTES (100000)',
    ])
  })

  test('does not hide another: all are listed at once', () => {
    const env = { PORT: 'x', LOG_LEVEL: 'loud', JWT_SECRET: 'short', DEFAULT_MODEL: 'chat' }
    expect(faultsOf(env).map((fault) => fault.split(':')[0])).toEqual(Object.keys(env))
    expect(() => loadConfig(env)).toThrow(
      /^The configuration has 4 faults:\n {2}- PORT: .*\n {2}- LOG_LEVEL: /,
    )
  })

  test('does not repeat a secret', () => {
    const env = {
      JWT_SECRET: 'hush-1',
      JWT_PUBLIC_KEY: 'hush-2',
      DATABASE_URL: 'mysql://user:hush-3@db',
      REDIS_URL: 'http://user:hush-4@cache',
      PORT: 'x',
    }
    expect(faultsOf(env).length).toBe(5)
    expect(faultsOf(env).join()).not.toContain('hush')
  })
})

describe('production', () => {
  const production = { NODE_ENV: 'production' }

  test('refuses the development secret, given or not', () => {
    const refusal = expect.stringMatching(/^JWT_SECRET: the development secret is not allowed with NODE_ENV/)
    expect(faultsOf(production)).toEqual([refusal])
    expect(faultsOf({ ...production, JWT_SECRET: developmentSecret })).toEqual([refusal])
    expect(faultsOf({ ...production, JWT_SECRET: 's'.repeat(32) })).toEqual([])
    expect(faultsOf({ ...production, JWT_JWKS_URL: 'https://id.example/jwks' })).toEqual([])
  })

  test('closes what development leaves open, unless it is asked for', () => {
    const closed = loadConfig({ ...production, JWT_SECRET: 's'.repeat(32) })
    expect([closed.server.graphiql, closed.auth.autoCreateTenants]).toEqual([false, false])
    const open = loadConfig({
      ...production,
      JWT_SECRET: 's'.repeat(32),
      GRAPHIQL: 'true',
      AUTO_CREATE_TENANTS: 'true',
    })
    expect([open.server.graphiql, open.auth.autoCreateTenants]).toEqual([true, true])
    const development = loadConfig({})
    expect([development.server.graphiql, development.auth.autoCreateTenants]).toEqual([true, true])
  })
})

describe('the result', () => {
  test('is frozen to its leaves', () => {
    const config = loadConfig({ CORS_ORIGINS: 'https://a.example, https://b.example' })
    expect(config.server.corsOrigins).toEqual(['https://a.example', 'https://b.example'])
    const open: string[] = []
    const visit = (path: string, value: unknown) => {
      if (typeof value !== 'object' || value === null) return
      if (!Object.isFrozen(value)) open.push(path)
      for (const [name, inner] of Object.entries(value)) visit(`${path}.${name}`, inner)
    }
    visit('config', config)
    expect(open).toEqual([])
    expect(() => Object.assign(config.auth, { secret: 'other' })).toThrow(TypeError)
  })

  test('takes an empty value for none', () => {
    expect(loadConfig({ PORT: '', JWT_SECRET: '', DATABASE_URL: '' })).toEqual(loadConfig({}))
  })

  test('keeps no secret where tokens are proven by a key', () => {
    const { auth } = loadConfig({ JWT_JWKS_URL: 'https://id.example/jwks' })
    expect([auth.secret, auth.isDevelopmentSecret]).toEqual([undefined, false])
  })
})

describe('.env.example', async () => {
  const text = await readFile(join(root, '.env.example'), 'utf8')

  test('gives the defaults', () => {
    const example = parseEnv(text)
    expect(Object.keys(example).length).toBeGreaterThan(20)
    expect(loadConfig(example)).toEqual(loadConfig({}))
  })

  test('names every setting once, and no other', async () => {
    const parts = ['model', 'operation', 'rate', 'reader', 'run'].map((name) => `src/lib/${name}-settings.ts`)
    const files = ['src/config.ts', ...parts].map((file) => readFile(join(root, file), 'utf8'))
    const settings = [...(await Promise.all(files)).join('\n').matchAll(/^ {2}([A-Z][A-Z_]+): /gm)].map(
      ([, name]) => name,
    )
    const named = [...text.matchAll(/^(?:# )?([A-Z][A-Z_]+)=/gm)].map(([, name]) => name)
    expect(named.toSorted()).toEqual(settings.toSorted())
  })

  test('shows allowed values where there is no default', () => {
    const faults = faultsOf(parseEnv(text.replaceAll(/^# (?=[A-Z][A-Z_]+=)/gm, '')))
    expect(faults).toEqual(['JWT_PUBLIC_KEY and JWT_JWKS_URL are both set; allowed is one of them'])
  })
})
