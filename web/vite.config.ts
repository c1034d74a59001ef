import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defaultClientConditions, defineConfig, type Plugin } from 'vite'

const server = 'http://127.0.0.1:4000'

/** Writes a `.gz` beside each file that shrinks, so that the server never compresses while it serves. */
const precompress = (): Plugin => ({
  name: 'precompress',
  apply: 'build',
  async writeBundle({ dir = 'dist' }) {
    const names = await readdir(dir, { recursive: true })
    const compressible = names.filter((name) => /\.(js|css|html|svg|ttf)$/.test(name))
    await Promise.all(
      compressible.map(async (name) => {
        const file = join(dir, name)
        await writeFile(`${file}.gz`, await promisify(gzip)(await readFile(file), { level: 9 }))
      }),
    )
  },
})

/** The chat page as it is one folder deeper, at `/s/` and an id, with paths that lead up. */
const sessionPage = (): Plugin => ({
  name: 'session-page',
  apply: 'build',
  enforce: 'post',
  generateBundle(_options, bundle) {
    const page = bundle['index.html']
    if (page?.type !== 'asset') throw new Error('index.html was not built')
    const source = String(page.source).replaceAll('"./', '"../')
    this.emitFile({ type: 'asset', fileName: 'session.html', source })
  },
})

export default defineConfig({
  root: import.meta.dirname,
  // Relative, so that the pages also work behind a proxy that puts a prefix before every path.
  base: './',
  // The client library is taken from its sources, so that a change of it shows without a build.
  resolve: { conditions: ['parley-source', ...defaultClientConditions] },
  plugins: [react(), sessionPage(), precompress()],
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // Monaco's icon font stays a file of its own; inlined it could not be cached apart from the styles.
    assetsInlineLimit: 1_024,
    // Monaco is one piece of about 2.5 MB and loads after the first paint.
    chunkSizeWarningLimit: 4_000,
    reportCompressedSize: false,
    rolldownOptions: {
      input: ['index.html', 'graphiql.html'],
      onLog(level, log, write) {
        // GraphiQL ships its files with the React compiler's directives, which mean nothing once compiled.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') write(level, log)
      },
    },
  },
  server: {
    proxy: { '/graphql': { target: server, ws: true }, '/config.json': server },
  },
})
