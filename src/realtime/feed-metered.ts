import type { Meter } from '../lib/meter.ts'
import type { Feed } from './feed.ts'
import type { WireRow } from './feed-events.ts'

/** The feed, with what is appended to it counted, and the runs that it tells the end of. */
export const metered = (feed: Feed, meter: Meter): Feed => ({
  ...feed,
  async publish(sessionId, events) {
    for (const event of events) {
      meter.feedEvents(event.type, 1)
      if (event.type === 'RunFinished') meter.runFinished(endOf(event.run))
    }
    return feed.publish(sessionId, events)
  },
  teller(place, onLogLost) {
    const tell = feed.teller(place, onLogLost)
    return (reply, events) => {
      for (const { type } of events) meter.feedEvents(type, 1)
      return tell(reply, events)
    }
  },
})

function endOf({ status, queuedAt, firstTokenAt }: WireRow) {
  const ms = Date.parse(String(firstTokenAt)) - Date.parse(String(queuedAt))
  return { status: String(status), secondsToFirstToken: Number.isNaN(ms) ? null : ms / 1_000 }
}
