import { fileURLToPath } from 'node:url'
import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    alias: [
      {
        // Vite picks the ES module entry, Node the CommonJS one; two copies of graphql refuse each other's types.
        find: /^graphql$/,
        replacement: fileURLToPath(import.meta.resolve('graphql')),
      },
    ],
  },
  // The client library is tested from its sources.
  ssr: { resolve: { conditions: ['parley-source', ...defaultServerConditions] } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/shared-postgres.ts'],
    setupFiles: ['test/support/setup.ts'],
    pool: 'forks',
    // There are no module singletons, so that files can share what they import: 1.6 s of processor time less a file.
    isolate: false,
    // Much of what tests do is to wait: on two cores four at once leave 3 % of them idle, and take two thirds of the time of two.
    maxWorkers: 4,
    // What bounds a wait only stops it, on a machine that has other things to do; what must be quick measures that itself.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
})
