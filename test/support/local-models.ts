import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeEach } from 'vitest'
import type { LlamaPackage } from '../../src/llm/local-engine.ts'

const install =
  'npm install --prefix test/local-models --omit=optional --ignore-scripts --no-audit --no-fund --no-package-lock'
const entry = join(import.meta.dirname, '../local-models/node_modules/node-llama-cpp/dist/index.js')
const missing = `There is no node-llama-cpp for the tests. Install it: ${install}`
const isInstalled = existsSync(entry)

/** For a file whose tests run models: they are skipped with a note where the package is missing; in CI they fail. */
export function requireLocalModels() {
  beforeEach(({ skip }) => {
    if (!isInstalled && process.env.CI === 'true') throw new Error(missing)
    skip(!isInstalled, missing)
  })
}

export const loadForTests = async (): Promise<LlamaPackage> => await import(pathToFileURL(entry).href)
