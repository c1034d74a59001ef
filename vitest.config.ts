import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

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
  test: {
    include: ['test/**/*.test.ts'],
    // The controls take minutes: `npm run test:faults` sets the scale, and runs them, too.
    exclude: [...configDefaults.exclude, ...(process.env.FAULT_SCALE ? [] : ['test/faults/controls.test.ts'])],
    globalSetup: ['test/support/shared-postgres.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
