import { builder } from '../../graphql/builder.ts'
import type { SessionEvent as Delivered } from './events.ts'
import type { RunEvent as DeliveredOfRun } from './run-events.ts'

export const SessionEvent = builder.interfaceRef<Delivered>('SessionEvent').implement({
  description: 'Something that happened in a session. Events come in one order, each once.',
  resolveType: (delivery) => ('reason' in delivery ? 'SessionSnapshot' : delivery.type),
  fields: (t) => ({
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'The place just after this event; follow on from here.',
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was told.' }),
  }),
})

export const RunEvent = builder.interfaceRef<DeliveredOfRun>('RunEvent').implement({
  description: 'Something that happened in a run. Events come in one order, each once.',
  resolveType: (delivery) => ('reason' in delivery ? 'RunSnapshot' : delivery.type),
  fields: (t) => ({
    cursor: t.expose('cursor', {
      type: 'Cursor',
      description: 'The place just after this event; follow on from here.',
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was told.' }),
  }),
})

export const SnapshotReason = builder.enumType('SnapshotReason', {
  description: 'Why a feed sends a snapshot.',
  values: {
    START: { description: 'The feed begins here, without a cursor.' },
    GAP: {
      description:
        'History does not reach back to where the reader was: it must take this state for its own.',
    },
  } as const,
})
