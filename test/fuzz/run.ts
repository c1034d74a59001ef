// npm run test:fuzz -- [--seconds 60] [--seed n]
//
// Asks the server at random for as long as wanted; a seed repeats what was asked.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
})
const env = {
  ...process.env,
  FUZZ_SECONDS: values.seconds,
  ...(values.seed ? { FUZZ_SEED: values.seed } : {}),
}
const { status } = spawnSync('npx', ['vitest', 'run', 'test/fuzz'], { stdio: 'inherit', env })
process.exit(status ?? 1)
