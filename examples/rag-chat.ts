/**
 * Chats about a document: it is indexed, hung on a session, and the answers tell what they were drawn from.
 *
 *   node examples/rag-chat.ts [file.md|file.txt|file.pdf] [question …]
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { connect } from './connect.ts'

const [file, ...given] = process.argv.slice(2)
const questions = given.length > 0 ? given : ['What do owls eat?']
const sample = {
  title: 'Owls',
  mimeType: 'text/markdown',
  text: '# Food\n\nOwls eat mice, and now and then a frog.\n\n# Sleep\n\nOwls sleep by day.',
}

await using parley = await connect()
const documentId = await addDocument(file ? await readUpload(file) : sample)
await untilReady(documentId)

const session = await parley.createSession({
  title: 'About a document',
  documentIds: [documentId],
  parameters: { temperature: 0.2 },
})
for (const question of questions) {
  console.log(`\n> ${question}`)
  const reply = session.send(question)
  for await (const text of reply) process.stdout.write(text)
  console.log()
  const { message } = await reply.done
  for (const { marker, isCited, document } of await citationsOf(message.id))
    console.log(`  [${marker}] ${document?.title}${isCited ? '' : ' (read, not cited)'}`)
}

type Upload = { title: string; mimeType: string; text?: string; base64?: string }

async function readUpload(path: string): Promise<Upload> {
  const bytes = await readFile(path)
  const title = basename(path)
  if (path.endsWith('.pdf')) return { title, mimeType: 'application/pdf', base64: bytes.toString('base64') }
  return { title, mimeType: path.endsWith('.md') ? 'text/markdown' : 'text/plain', text: bytes.toString() }
}

async function addDocument(input: Upload): Promise<string> {
  const { document } = await parley.mutate<{ createDocument: { document: { id: string } } }, Upload>(
    `mutation ($input: CreateDocumentInput!) {
      createDocument(input: $input) {
        ... on CreateDocumentPayload { document { id } }
        ... on Error { code message }
      }
    }`,
    input,
  )
  return document.id
}

/** It is indexed in the background, by whichever server is free. */
async function untilReady(id: string): Promise<void> {
  type Document = {
    title: string
    status: string
    progress: number
    chunkCount: number
    error: string | null
  }
  const changes = parley.subscribe<{ documentChanged: Document }, object>(
    'subscription ($id: ID!) { documentChanged(id: $id) { title status progress chunkCount error } }',
    { id },
  )
  for await (const { documentChanged } of changes) {
    const { title, status, progress, chunkCount, error } = documentChanged
    if (status === 'FAILED') throw new Error(`${title}: ${error}`)
    console.log(`${title}: ${Math.round(progress * 100)} %, ${chunkCount} passages`)
    if (status === 'READY') return
  }
  throw new Error('The document is gone.')
}

async function citationsOf(id: string) {
  type Cited = {
    message: { citations: { marker: number; isCited: boolean; document: { title: string } | null }[] }
  }
  const { message } = await parley.request<Cited, object>(
    'query ($id: ID!) { message(id: $id) { citations { marker isCited document { title } } } }',
    { id },
  )
  return message.citations
}
