import type { Publisher } from '../control.ts'
import type { Delta } from '../dialects.ts'

/** For servers that know rooms and nobody in them: `publish` gets the room and how many texts were before. */
export function createRooms(publish: (room: string, offset: number, text: string) => void): Publisher {
  let generation = 0
  let rooms: { id: string; offset: number }[] = []
  return {
    async open({ streams, followers }) {
      generation += 1
      rooms = Array.from({ length: streams }, (_, index) => ({ id: `${generation}-${index}`, offset: 0 }))
      const tokens = Array.from({ length: followers }, () => '')
      return { streams: rooms.map(({ id }) => ({ id, tokens })) }
    },
    publish(stream, text) {
      const room = rooms[stream]
      if (!room) return
      publish(room.id, room.offset, text)
      room.offset += text.length
    },
    async close() {
      rooms = []
    },
  }
}

/** As long as what Parley sends: a cursor and an id of the same form. */
export const deltaOf = (offset: number, text: string): Delta => ({
  __typename: 'TextDelta',
  cursor: `AAAAAAAAAAAA:${offset}:4`,
  messageId: 'message_01jd3k9v2wf8rtzq4m6n7p5c0x',
  offset,
  text,
})
