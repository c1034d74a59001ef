import { closing } from '../../lib/async.ts'
import type { Broker } from '../../realtime/broker.ts'
import type { Log } from '../../telemetry/log.ts'

type Place = { tenantId: string; id: string }

/** What nodes tell each other about documents: that one changed, not how, so that each reader reads what it may see. */
export type DocumentNews = {
  /** Something of it changed, and that is stored. Never fails. */
  tell(document: Place): Promise<void>
  /** One item whenever something may have changed, from the moment of this call on. */
  follow(document: Place): Promise<AsyncIterableIterator<void>>
}

const channelOf = ({ tenantId, id }: Place) => `document:${tenantId}:${id}`

export function createDocumentNews({ broker, log }: { broker: Broker; log: Log }): DocumentNews {
  return {
    async tell(document) {
      await broker.append(channelOf(document), [null]).catch((error: unknown) => {
        log.warn({ err: error, documentId: document.id }, 'news of a document cannot be told now')
      })
    },
    async follow(document) {
      const leaving = new AbortController()
      const following = await broker.follow(channelOf(document), { signal: leaving.signal })
      async function* changes() {
        for await (const _item of following) yield
      }
      return closing(changes(), () => leaving.abort())
    },
  }
}
