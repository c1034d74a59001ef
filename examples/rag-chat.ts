/**
 * Chats about a document: it is indexed, hung on a session, and the answers tell what they were drawn from.
 *
 *   node examples/rag-chat.ts [file.md|file.txt|file.pdf] [question …]
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { connect } from './parley.ts'

const [file, ...given] = process.argv.slice(2)
const questions = given.length > 0 ? given : ['What do owls eat?']
const sample = {
  title: 'Owls',
  mimeType: 'text/markdown',
  text: '# Food\n\nOwls eat mice, and now and then a frog.\n\n# Sleep\n\nOwls sleep by day.',
}

const parley = await connect()
const documentId = await addDocument(file ? await readUpload(file) : sample)
await untilReady(documentId)

const { session } = await parley.ask<{ session: { id: string } }>(
  `mutation ($input: CreateSessionInput!) {
    createSession(input: $input) {
      ... on CreateSessionPayload { session { id } }
      ... on Error { code message }
    }
  }`,
  { input: { title: 'About a document', documentIds: [documentId], parameters: { temperature: 0.2 } } },
)
for (const question of questions) {
  console.log(`\n> ${question}`)
  const { content, citations } = await parley.send(session.id, question)
  console.log(content)
  for (const { marker, isCited, document } of citations)
    console.log(`  [${marker}] ${document?.title}${isCited ? '' : ' (read, not cited)'}`)
}
await parley.close()

type Upload = { title: string; mimeType: string; text?: string; base64?: string }

async function readUpload(path: string): Promise<Upload> {
  const bytes = await readFile(path)
  const title = basename(path)
  if (path.endsWith('.pdf')) return { title, mimeType: 'application/pdf', base64: bytes.toString('base64') }
  return { title, mimeType: path.endsWith('.md') ? 'text/markdown' : 'text/plain', text: bytes.toString() }
}

async function addDocument(input: Upload): Promise<string> {
  const { document } = await parley.ask<{ document: { id: string } }>(
    `mutation ($input: CreateDocumentInput!) {
      createDocument(input: $input) {
        ... on CreateDocumentPayload { document { id } }
        ... on Error { code message }
      }
    }`,
    { input },
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
  const changes = parley.listen<Document>(
    'subscription ($id: ID!) { documentChanged(id: $id) { title status progress chunkCount error } }',
    { id },
  )
  for await (const { title, status, progress, chunkCount, error } of changes) {
    if (status === 'FAILED') throw new Error(`${title}: ${error}`)
    console.log(`${title}: ${Math.round(progress * 100)} %, ${chunkCount} passages`)
    if (status === 'READY') return
  }
  throw new Error('The document is gone.')
}
