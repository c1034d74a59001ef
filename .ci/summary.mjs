import { readFileSync } from 'node:fs'

// Reads vitest's JSON reports; see .ci/run.
const testResults = process.argv
  .slice(2)
  .flatMap((file) => JSON.parse(readFileSync(file, 'utf8')).testResults)
const count = (status) =>
  testResults.flatMap((file) => file.assertionResults).filter((test) => test.status === status).length

// A file that cannot be loaded has no tests that could fail.
const broken = testResults.filter(
  (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
)
const passed = count('passed')
const failed = count('failed') + broken.length
const unrun = testResults.flatMap((file) => file.assertionResults).length - passed - count('failed')
if (unrun > 0) process.stderr.write(`${unrun} tests did not run: here, skipping is a failure\n`)

process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed > 0 || unrun > 0 || passed === 0 ? 1 : 0
