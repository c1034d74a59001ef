import { ConfigError } from './config.ts'

const commands = ['start', 'migrate', 'token', 'tenant', 'schema', 'seed']

const [command = 'start', ...args] = process.argv.slice(2)
try {
  if (!commands.includes(command))
    throw new Error(`Unknown command ${command}; there are: ${commands.join(', ')}.`)
  const { run } = (await import(`./cli/${command}.ts`)) as { run(args: string[]): Promise<void> }
  await run(args)
} catch (error) {
  // What a person can mend is said in a sentence; for all else the stack is what helps.
  const isPlain = error instanceof ConfigError || (error instanceof Error && error.constructor === Error)
  console.error(isPlain ? error.message : error)
  process.exitCode = 1
}
