import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'

/**
 * The long form of the fault tests: `npm run test:faults -- --minutes 30`, round after round with a new seed, which
 * it prints; `--seed 7` plays one again. What is at full size with `--size 1` has a tenth of it by default. With
 * `--controls` instead the protections are taken out, each once, and must be missed. The short form runs with all other
 * tests.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    scale: { type: 'string', default: '4' },
    size: { type: 'string', default: '0.1' },
    controls: { type: 'boolean', default: false },
  },
})
const endAtMs = Date.now() + (values.controls ? 0 : Number(values.minutes) * 60_000)
const controls = 'test/faults/controls.long.ts'
const files = values.controls ? [controls] : ['test/faults', '--exclude', controls]
let seed = Number(values.seed ?? Date.now() % 1_000_000)
let failures = 0

const round = () =>
  new Promise<number>((resolve) => {
    const env = {
      ...process.env,
      FAULT_SEED: String(seed),
      FAULT_SCALE: values.scale,
      FAULT_SIZE: values.size,
    }
    // One world at a time: what one of them has to do in time is not to wait for another.
    const options = ['--config', 'test/faults/vitest.config.ts', '--no-file-parallelism']
    const child = spawn('vitest', ['run', ...files, ...options], { env, stdio: 'inherit' })
    child.on('exit', (code) => resolve(code ?? 1))
  })

do {
  const minutesLeft = Math.max(Math.ceil((endAtMs - Date.now()) / 60_000), 0)
  process.stdout.write(
    `\nFAULT_SEED=${seed} FAULT_SCALE=${values.scale} FAULT_SIZE=${values.size}, ${minutesLeft} min left, ${failures} failed so far\n`,
  )
  if ((await round()) !== 0) failures += 1
  seed += 1
} while (Date.now() < endAtMs)

process.stdout.write(
  failures === 0 ? '\nEvery round held.\n' : `\n${failures} rounds failed; their seeds are above.\n`,
)
process.exitCode = failures === 0 ? 0 : 1
