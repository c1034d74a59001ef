import { print } from 'graphql'
import { useContext } from 'react'
import { ServerContext } from '../../server.ts'
import { base64Of, kindOf } from './file.ts'
import { CreateDocument } from './operations.ts'

/**
 * Sends a file as a document and gives its id; throws what `faultOf` reads. `onProgress` is told the share that is on
 * its way, 0 to 1: fetch tells nothing of that, hence the older request.
 */
export function useUploadFile() {
  const { endpoint, token } = useContext(ServerContext)

  return async (file: File, onProgress: (share: number) => void): Promise<string> => {
    const kind = kindOf(file)
    if (!kind) throw new Error('It is of no kind that can be read; allowed are PDF, Markdown and plain text.')
    const input = { title: file.name, mimeType: kind.mimeType, base64: await base64Of(file) }
    const body = JSON.stringify({ query: print(CreateDocument), variables: { input } })
    const answer = JSON.parse(await post(endpoint, { token, body, onProgress }))
    if (answer.errors) throw answer
    if (!('document' in answer.data.createDocument)) throw answer.data.createDocument
    return answer.data.createDocument.document.id
  }
}

type Request = { token: string; body: string; onProgress: (share: number) => void }

function post(url: string, { token, body, onProgress }: Request): Promise<string> {
  const request = new XMLHttpRequest()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0)
  request.onload = () => resolve(request.responseText)
  request.onerror = () => reject(new Error('The connection broke. Try again when you are online.'))
  request.open('POST', url)
  request.setRequestHeader('content-type', 'application/json')
  request.setRequestHeader('accept', 'application/json')
  request.setRequestHeader('authorization', `Bearer ${token}`)
  request.send(body)
  return promise
}
