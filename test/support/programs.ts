import { spawnSync } from 'node:child_process'
import { beforeEach } from 'vitest'

/** A program that tests need and not every machine has. */
export type Program = {
  readonly isInstalled: boolean
  /** Says what to install. */
  readonly missing: string
  /** For a file whose tests need it: they are skipped with a note where there is none; in CI they fail. */
  require(): boolean
}

/** Looks whether it is on the PATH, by asking for its version. Debian's package has its name. */
export function findProgram(name: string, versionArgument: string): Program {
  const missing = `There is no ${name} on the PATH. Install it (Debian: apt-get install ${name}).`
  const isInstalled = spawnSync(name, [versionArgument]).status === 0
  return {
    isInstalled,
    missing,
    require() {
      beforeEach(({ skip }) => {
        if (!isInstalled && process.env.CI === 'true') throw new Error(missing)
        skip(!isInstalled, missing)
      })
      return isInstalled
    },
  }
}
