import { closing } from '../../lib/async.ts'
import type { Broker } from '../../realtime/broker.ts'
import type { Log } from '../../telemetry/log.ts'

type Place = { tenantId: string; id: string }

/** What nodes tell each other about documents: that one changed, not how, so that each reader reads what it may see. */
export type DocumentNews = {
  /** Something of it changed, and that is stored. Never fails. */
  tell(document: Place): Promise<void>
  /**
   * One item whenever something may have changed, from the moment of this call on; also every few seconds, as news may
   * be lost with their node, and of rights that end there are none.
   */
  follow(document: Place): Promise<AsyncIterableIterator<void>>
}

/** With what a look takes, below the 5 s that a reader may go without a change or keep a right that has ended. */
const lookMs = 3_000

const channelOf = ({ tenantId, id }: Place) => `document:${tenantId}:${id}`

export function createDocumentNews({ broker, log }: { broker: Broker; log: Log }): DocumentNews {
  return {
    async tell(document) {
      try {
        await broker.append(channelOf(document), [null])
      } catch (error) {
        log.warn({ err: error, documentId: document.id }, 'news of a document cannot be told now')
      }
    },
    async follow(document) {
      const following = await broker.follow(channelOf(document), {})
      let isDue = false
      let wake = () => {}
      const looking = setInterval(() => {
        isDue = true
        wake()
      }, lookMs)
      async function* changes() {
        for (;;) {
          const item = following.poll(() => wake())
          if (item?.done) return
          if (item || isDue) {
            isDue = false
            yield
          } else
            await new Promise<void>((resolve) => {
              wake = resolve
            })
        }
      }
      return closing(changes(), () => {
        clearInterval(looking)
        following.close()
        wake()
      })
    },
  }
}
