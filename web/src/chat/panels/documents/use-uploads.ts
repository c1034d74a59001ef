import { newClientId } from '@parley/client'
import { useState } from 'react'
import { type Fault, faultOf } from '../action.ts'
import { createTurns } from './turns.ts'
import { useUploadFile } from './upload.ts'

export type Upload = { key: string; file: File; share: number; fault: Fault | null }

/** The server takes two bodies of a person at a time, of whatever conversation. */
const inTurn = createTurns(2)

/** Files on their way to the server, two at a time; those that failed stay until they are sent again or dismissed. */
export function useUploads(onDone: (documentId: string) => Promise<void>) {
  const [uploads, setUploads] = useState<readonly Upload[]>([])
  const uploadFile = useUploadFile()

  const change = (key: string, changes: Partial<Upload>) =>
    setUploads((all) => all.map((each) => (each.key === key ? { ...each, ...changes } : each)))
  const dismiss = (key: string) => setUploads((all) => all.filter((each) => each.key !== key))

  async function upload(file: File, key: string) {
    try {
      const documentId = await inTurn(() => uploadFile(file, (share) => change(key, { share })))
      dismiss(key)
      await onDone(documentId)
    } catch (error) {
      change(key, { fault: faultOf(error) })
    }
  }

  function add(files: Iterable<File>) {
    const added = [...files].map((file) => ({ key: newClientId(), file, share: 0, fault: null }))
    setUploads((all) => [...all, ...added])
    for (const { file, key } of added) void upload(file, key)
  }

  function retry({ key, file }: Upload) {
    change(key, { share: 0, fault: null })
    void upload(file, key)
  }

  return { uploads, add, retry, dismiss }
}
