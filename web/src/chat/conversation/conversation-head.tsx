import type { LiveSession } from '@parley/client/apollo'
import { sessionDialogs } from '../dialogs/list.ts'
import { SessionMenu } from '../dialogs/session-menu.tsx'
import { panels } from '../panels/list.ts'
import { navigate, useRoute } from '../route.ts'
import { AvatarStack } from '../ui/avatar.tsx'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import { Menu } from '../ui/menu.tsx'
import { useIsNarrow } from '../ui/use-is-narrow.ts'
import styles from './conversation.module.css'

type ConversationHeadProps = {
  session: LiveSession['session']
  viewerId: string | undefined
  onOpenList: () => void
}

/** Title, who else is here, and what can be opened beside the conversation. */
export function ConversationHead({ session, viewerId, onOpenList }: ConversationHeadProps) {
  const { panel: openPanel } = useRoute()
  const isNarrow = useIsNarrow()
  const others = session?.present.filter(({ id }) => id !== viewerId) ?? []
  const unnamed = session ? session.presentCount - session.present.length : 0
  const show = (id: string) => navigate({ panel: openPanel === id ? null : id }, { replace: true })
  return (
    <header className={styles.head}>
      <IconButton
        label="Show the list of conversations"
        icon={icons.menu}
        className={styles.listButton}
        onClick={onOpenList}
      />
      <div className={styles.titles}>
        <h1>{session ? (session.title ?? 'New conversation') : ' '}</h1>
        {session && (
          <p>
            {[session.agent?.name, session.model, session.isActive ? null : 'inactive']
              .filter(Boolean)
              .join(' · ')}
          </p>
        )}
      </div>
      {others.length > 0 && <AvatarStack people={others} count={others.length + unnamed} label="Here now" />}
      {session && isNarrow && panels.length > 0 && (
        <Menu
          label="Panels"
          icon={icons.sliders}
          items={panels.map(({ id, title, icon }) => ({ label: title, icon, onSelect: () => show(id) }))}
        />
      )}
      {session && !isNarrow && (
        <div className={styles.panels}>
          {panels.map(({ id, title, icon }) => (
            <IconButton
              key={id}
              label={title}
              icon={icon}
              aria-pressed={openPanel === id}
              className={openPanel === id ? styles.open : undefined}
              onClick={() => show(id)}
            />
          ))}
        </div>
      )}
      {session && sessionDialogs.length > 0 && <SessionMenu sessionId={session.id} label="Conversation" />}
    </header>
  )
}
