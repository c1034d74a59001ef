// node embedded-database.child.ts <data folder>: a Parley reduced to its database. Prints `{ "url", "dataDir" }`, or
// `{ "error" }` and ends; then stores rows without a pause and prints the number of each that was acknowledged.
// SIGTERM stops it in order.
import { Client } from 'pg'
import { startEmbeddedDatabase } from '../../src/db/embedded.ts'

const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)
const log = { info: () => {}, warn: () => {} }

try {
  const { url, dataDir, stop } = await startEmbeddedDatabase({ dataDir: process.argv[2] ?? '', log })
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('CREATE TABLE IF NOT EXISTS kept (number int PRIMARY KEY)')
  let isStopping = false
  process.once('SIGTERM', () => {
    isStopping = true
  })
  say({ url, dataDir })
  for (let number = 1; !isStopping; number++) {
    await client.query('INSERT INTO kept VALUES ($1) ON CONFLICT DO NOTHING', [number])
    say(number)
  }
  await client.end()
  await stop()
} catch (error) {
  say({ error: String(error) })
}
