import { newClientId } from '@parley/client'
import { useState } from 'react'
import { type Fault, faultOf } from '../action.ts'
import { useUploadFile } from './upload.ts'

export type Upload = { key: string; name: string; share: number; fault: Fault | null }

/** Files on their way to the server, two at a time; those that failed stay until they are dismissed. */
export function useUploads(onDone: (documentId: string) => Promise<void>) {
  const [uploads, setUploads] = useState<readonly Upload[]>([])
  const uploadFile = useUploadFile()

  const change = (key: string, changes: Partial<Upload>) =>
    setUploads((all) => all.map((each) => (each.key === key ? { ...each, ...changes } : each)))
  const dismiss = (key: string) => setUploads((all) => all.filter((each) => each.key !== key))

  async function upload(file: File, key: string) {
    try {
      const documentId = await uploadFile(file, (share) => change(key, { share }))
      dismiss(key)
      await onDone(documentId)
    } catch (error) {
      change(key, { fault: faultOf(error) })
    }
  }

  /** The server takes two bodies of a person at a time. */
  async function add(files: Iterable<File>) {
    const waiting = [...files].map((file) => ({ file, key: newClientId() }))
    setUploads((all) => [
      ...all,
      ...waiting.map(({ file, key }) => ({ key, name: file.name, share: 0, fault: null })),
    ])
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await upload(next.file, next.key)
    }
    await Promise.all([work(), work()])
  }

  return { uploads, add, dismiss }
}
