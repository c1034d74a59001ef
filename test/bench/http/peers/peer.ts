import type { Server } from 'node:http'

/** The tenant that the bench's data puts its users into. */
export const benchTenant = process.env.BENCH_TENANT ?? ''

/** Listens where the runner says, and tells it. */
export function listenAsPeer(server: Server): void {
  server.listen(Number(process.env.PORT), '127.0.0.1', () => process.stdout.write('ready\n'))
}
