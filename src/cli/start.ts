import { startApp } from '../app.ts'
import { developmentToken } from '../auth/development.ts'
import { type Config, loadConfig } from '../config.ts'
import { createLog } from '../telemetry/log.ts'

/** Runs the server until it is told to stop. */
export async function run(): Promise<void> {
  const config = loadConfig()
  const log = createLog(config.log, process.stdout.isTTY)
  // By itself Node would end, and with it what everybody else is doing.
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'a failure that nobody waited for'))
  const app = await startApp(config, { log })
  console.log(welcome(app.url, config.server, developmentToken(config, app.tokens)))

  let isStopping = false
  const stop = (graceMs: number) => {
    if (isStopping) {
      log.warn('stopped at once, as asked for the second time')
      process.exit(1)
    }
    isStopping = true
    log.info({ graceMs }, 'stopping')
    app.stop(graceMs).then(
      () => process.exit(0),
      (error) => {
        log.error({ err: error }, 'the stop failed')
        process.exit(1)
      },
    )
  }
  // A person at the keyboard wants it gone now; a platform that drains a node gives replies time to end.
  process.on('SIGINT', () => stop(0))
  process.on('SIGTERM', () => stop(config.server.shutdownTimeoutMs))
}

function welcome(url: string, { chatPage, graphiql }: Config['server'], token: string | null): string {
  const lines = [
    '',
    `Parley is ready.`,
    '',
    ...(chatPage ? [`  Chat       ${url}/`] : []),
    ...(graphiql ? [`  GraphiQL   ${url}/graphiql`] : []),
    `  Endpoint   ${url}/graphql   (HTTP, SSE and WebSocket)`,
  ]
  if (token)
    lines.push(
      '',
      'A token for development (tenant demo, valid for 7 days; "npm run -s token -- --user alice" makes others):',
      '',
      `  ${token}`,
      '',
      'Try it:',
      '',
      `  curl -s ${url}/graphql -H 'content-type: application/json' \\`,
      `    -H 'authorization: Bearer ${token}' \\`,
      `    -d '{"query":"{ viewer { tenant { slug } user { name } } agents { key name } }"}'`,
    )
  return [...lines, ''].join('\n')
}
