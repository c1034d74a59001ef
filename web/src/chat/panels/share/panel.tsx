import { useQuery } from '@apollo/client/react'
import { useSessionChanges } from '@parley/client/apollo'
import { Loaded } from '../loaded.tsx'
import { readAnew } from '../read-anew.ts'
import { Note, Section } from '../section.tsx'
import { AddPerson } from './add-person.tsx'
import { ParticipantsQuery } from './operations.ts'
import { PersonRow } from './person-row.tsx'
import { roles } from './roles.ts'
import styles from './share.module.css'

/** After them other people may take part or be there. */
const changes = ['PresenceChanged', 'SessionUpdated', 'SessionSnapshot'] as const

export function SharePanel({ sessionId }: { sessionId: string }) {
  const result = useQuery(ParticipantsQuery, { variables: { sessionId }, ...readAnew })
  const refetch = () => void result.refetch()
  useSessionChanges(sessionId, changes, () => result.refetch())

  return (
    <Loaded result={result}>
      {({ viewer, session }) =>
        session && (
          <>
            <Section title="People">
              {session.viewerRole === 'OWNER' ? (
                <AddPerson sessionId={sessionId} isAdmin={viewer.role === 'ADMIN'} />
              ) : (
                <Note>Only owners can share this conversation with others.</Note>
              )}
              <ul className={styles.people} aria-label="People in this conversation">
                {session.participants.map((participant) => (
                  <PersonRow
                    key={participant.user.id}
                    {...{ sessionId, participant }}
                    isViewer={participant.user.id === viewer.user.id}
                    isSessionUser={participant.user.id === session.user.id}
                    isPresent={[viewer.user.id, ...session.present.map(({ id }) => id)].includes(
                      participant.user.id,
                    )}
                    mayChange={session.viewerRole === 'OWNER'}
                    onChange={refetch}
                  />
                ))}
              </ul>
            </Section>
            <Section title="What each role may do">
              <dl className={styles.roles}>
                {roles.map(({ role, name, may }) => (
                  <div key={role}>
                    <dt>{name}</dt>
                    <dd>{may}</dd>
                  </div>
                ))}
              </dl>
            </Section>
          </>
        )
      }
    </Loaded>
  )
}
