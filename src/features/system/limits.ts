import type { Config } from '../../config.ts'
import type { PageSizes } from '../../lib/paging.ts'

/** What this server takes at most, as its settings have it: characters, bytes, numbers of things. */
export type Limits = {
  messageMaxLength: number
  titleMaxLength: number
  metadataMaxBytes: number
  documentMaxBytes: number
  documentsPerUser: number
  requestMaxBytes: number
  sessionPages: PageSizes
  messagePages: PageSizes
  operationCostMax: number
}

export const limitsOf = ({ server, operations, sessions, documents }: Config): Limits => ({
  messageMaxLength: sessions.messageMaxLength,
  titleMaxLength: sessions.titleMaxLength,
  metadataMaxBytes: sessions.metadataMaxBytes,
  documentMaxBytes: documents.maxBytes,
  documentsPerUser: documents.perUser,
  requestMaxBytes: server.bodyMaxBytes,
  sessionPages: sessions.pageSizes,
  messagePages: sessions.messagePageSizes,
  operationCostMax: operations.maxCost,
})
