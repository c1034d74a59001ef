import { expect } from 'vitest'
import type { Api } from '../support/api.ts'
import type { TestApp } from '../support/app.ts'

export type Part = Record<string, unknown>
/** A file of the format parley/1. */
export type File = { format: string; session: Part; messages: Part[] }

const importMutation = `mutation ($input: ImportSessionInput!) {
  importSession(input: $input) {
    ... on ImportSessionPayload { session { id key messageCount } }
    ... on Error { message }
  }
}`
const exportMutation = `mutation ($input: ExportSessionInput!) {
  exportSession(input: $input) { ... on ExportSessionPayload { url } ... on Error { message } }
}`

/** The way of a session into a file and back. */
export function createFiles(app: () => TestApp) {
  /** An admin, who keeps every author. */
  const admin = (user = 'root') => app().api({ user, role: 'ADMIN' })
  return {
    admin,
    async importFile(file: File, api: Api = admin()) {
      const { importSession } = await api.run(importMutation, { input: { content: JSON.stringify(file) } })
      expect(importSession).toHaveProperty('session')
      return importSession.session
    },
    async exportSession(sessionId: string, api: Api = admin()): Promise<File> {
      const { exportSession } = await api.run(exportMutation, { input: { sessionId } })
      return (await (await fetch(`${app().url}${exportSession.url}`)).json()) as File
    },
  }
}
