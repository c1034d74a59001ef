import { parseArgs } from 'node:util'
import { createTokens } from '../auth/jwt.ts'
import { loadConfig } from '../config.ts'

const usage =
  'Usage: token --user <subject> [--tenant demo] [--role user|admin|service] [--expires 8h] [--name <name>] [--email <email>]'

/** Prints a token for a person, and nothing else, so that a shell can take it: `TOKEN=$(npm run -s token …)`. */
export async function run(args: string[]): Promise<void> {
  try {
    console.log(await mint(args))
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`)
    process.exitCode = 1
  }
}

async function mint(args: string[]): Promise<string> {
  const { values } = parseArgs({
    args,
    options: {
      user: { type: 'string' },
      tenant: { type: 'string', default: 'demo' },
      role: { type: 'string', default: 'user' },
      expires: { type: 'string', default: '8h' },
      name: { type: 'string' },
      email: { type: 'string' },
    },
  })
  if (!values.user) throw new Error('--user is missing: the name that the token speaks for.')
  const role = roles.find((known) => known.toLowerCase() === values.role)
  if (!role) throw new Error(`--role ${values.role} is unknown; allowed: user, admin, service.`)
  const expiresIn = parseSeconds(values.expires)

  const { sign, verify } = createTokens(loadConfig().auth)
  if (!sign)
    throw new Error(
      'Tokens are proven by JWT_PUBLIC_KEY or JWT_JWKS_URL here, so only the identity provider can make them.',
    )
  const { user: subject, tenant, name, email } = values
  const token = sign({ subject, tenant, role, name, email }, { expiresIn })
  // What the server would refuse is refused here, with the server's own words.
  await verify(token)
  return token
}

const roles = ['USER', 'ADMIN', 'SERVICE'] as const

const secondsOf = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
const maxSeconds = 365 * secondsOf.d

function parseSeconds(text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const seconds = Number(count) * secondsOf[unit as keyof typeof secondsOf]
  if (seconds >= 1 && seconds <= maxSeconds) return seconds
  throw new Error(
    `--expires ${text} is not a duration; allowed: a number and s, m, h or d, from 1s to 365d, such as 90m.`,
  )
}
