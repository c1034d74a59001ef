import { navigate } from '../../route.ts'
import { Avatar, nameOf } from '../../ui/avatar.tsx'
import { IconButton } from '../../ui/button.tsx'
import { icons } from '../../ui/icons.tsx'
import { useToast } from '../../ui/toast.tsx'
import { useAction } from '../action.ts'
import { FaultNote } from '../fault-note.tsx'
import { AddParticipant, RemoveParticipant, UpdateParticipant } from './operations.ts'
import { RoleSelect } from './role-select.tsx'
import { nameOfRole, type Role } from './roles.ts'
import styles from './share.module.css'

type Person = { id: string; externalId: string; name: string | null; email: string | null }

type Props = {
  sessionId: string
  participant: { role: Role; user: Person }
  isViewer: boolean
  /** Whether it is the one whose session it is, who always owns it. */
  isSessionUser: boolean
  isPresent: boolean
  mayChange: boolean
  /** The list is to be read anew. */
  onChange: () => void
}

export function PersonRow(props: Props) {
  const { sessionId, participant, isViewer, isSessionUser, isPresent, mayChange, onChange } = props
  const { role, user } = participant
  const toast = useToast()
  const update = useAction(UpdateParticipant)
  const remove = useAction(RemoveParticipant)
  const add = useAction(AddParticipant, { onFault: ({ message }) => toast({ text: message }) })
  const name = nameOf(user)

  async function leaveOrRemove() {
    const removed = await remove.run({ input: { sessionId, userId: user.id } })
    if (!removed) return
    if (isViewer) return navigate({ sessionId: null }, { replace: true })
    onChange()
    const undo = async () => {
      await add.run({ input: { sessionId, externalUserId: user.externalId, role } })
      onChange()
    }
    toast({ text: `${name} takes part no more.`, action: { label: 'Undo', onSelect: () => void undo() } })
  }

  return (
    <li className={styles.person}>
      <span className={styles.face} data-present={isPresent}>
        <Avatar person={user} />
      </span>
      <div className={styles.who}>
        <span className={styles.name}>
          {name}
          {isViewer && ' (you)'}
        </span>
        <span className={styles.about}>{isPresent ? 'Here now' : aboutOf(user)}</span>
      </div>
      {mayChange && !isSessionUser ? (
        <RoleSelect
          label={`Role of ${name}`}
          role={role}
          isDisabled={update.isBusy}
          onChange={(role) => void update.run({ input: { sessionId, userId: user.id, role } })}
        />
      ) : (
        <span className={styles.role}>{nameOfRole(role)}</span>
      )}
      {!isSessionUser && (mayChange || isViewer) && (
        <IconButton
          label={isViewer ? 'Leave this conversation' : `Remove ${name}`}
          icon={isViewer ? icons.exit : icons.close}
          size="small"
          disabled={remove.isBusy}
          onClick={() => void leaveOrRemove()}
        />
      )}
      <FaultNote fault={update.fault ?? remove.fault} />
    </li>
  )
}

const aboutOf = ({ name, email, externalId }: Person) => email ?? (name ? externalId : 'Not here now')
