import { createServer } from 'node:http'
import { close, listen } from './http.ts'

type Source = { text(): Promise<string>; readonly contentType: string }

/** Where metrics can be read: an address of its own, so that whoever reaches the API does not reach them. */
export async function openMetricsDoor(source: Source, { host, port }: { host: string; port: number }) {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') return void response.writeHead(404).end()
    source.text().then(
      (text) => response.writeHead(200, { 'content-type': source.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  await listen(server, host, port)
  return { close: () => close(server, 0) }
}
