import type { Config } from '../../config.ts'

/** What this server takes at most, as its settings have it: characters, bytes, numbers of things. */
export type Limits = {
  messageMaxLength: number
  titleMaxLength: number
  metadataMaxBytes: number
  documentMaxBytes: number
  documentsPerUser: number
  requestMaxBytes: number
  sessionPageSizeMax: number
  operationCostMax: number
}

export const limitsOf = ({ server, operations, sessions, documents }: Config): Limits => ({
  messageMaxLength: sessions.messageMaxLength,
  titleMaxLength: sessions.titleMaxLength,
  metadataMaxBytes: sessions.metadataMaxBytes,
  documentMaxBytes: documents.maxBytes,
  documentsPerUser: documents.perUser,
  requestMaxBytes: server.bodyMaxBytes,
  sessionPageSizeMax: sessions.maxPageSize,
  operationCostMax: operations.maxCost,
})
