import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeEach } from 'vitest'
import { atEndOfFile } from './at-end.ts'

const run = promisify(execFile)
const missing =
  'There is no PostgreSQL with pgvector. Install it (Debian: apt-get install postgresql, then .ci/install-pgvector).'

const releases = '/usr/lib/postgresql'
const release = (existsSync(releases) ? readdirSync(releases) : []).find((name) =>
  existsSync(`/usr/share/postgresql/${name}/extension/vector.control`),
)

/** For a file whose tests need pgvector: they are skipped with a note where it isn't installed; in CI they fail. */
export function requirePgvector() {
  beforeEach(({ skip }) => {
    if (!release && process.env.CI === 'true') throw new Error(missing)
    skip(!release, missing)
  })
  return release !== undefined
}

/** A superuser's address of a server of this file's own, Debian's, which has pgvector; gone when the tests are over. */
export async function startPostgresWithPgvector(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-pgvector-'))
  const account = process.getuid?.() === 0 ? await idsOf('postgres') : undefined
  if (account) await chown(folder, account.uid, account.gid)
  const pg = (command: string, ...args: string[]) =>
    run(`${releases}/${release}/bin/${command}`, args, { cwd: folder, ...account })
  const data = join(folder, 'data')
  await pg('initdb', '-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C')
  const settings = `-c listen_addresses= -c unix_socket_directories=${folder} -c fsync=off`
  await pg('pg_ctl', '-D', data, '-o', settings, '-l', join(folder, 'log'), '-w', 'start')
  atEndOfFile(async () => {
    await pg('pg_ctl', '-D', data, '-m', 'immediate', 'stop')
    await rm(folder, { recursive: true })
  })
  return `postgres://postgres@localhost/postgres?host=${folder}`
}

async function idsOf(user: string) {
  const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])])
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
}
