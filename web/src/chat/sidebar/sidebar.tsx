import { useRef } from 'react'
import { AccountMenu } from '../account/account-menu.tsx'
import { navigate } from '../route.ts'
import { chooseScheme, useScheme } from '../scheme.ts'
import { Avatar, nameOf } from '../ui/avatar.tsx'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import { Logo } from '../ui/logo.tsx'
import { useFocus } from '../ui/use-focus.ts'
import { useViewer } from '../viewer.ts'
import { SessionList } from './session-list.tsx'
import styles from './sidebar.module.css'

type SidebarProps = {
  /** On a phone, where it lies over the conversation. */
  isOpen: boolean
  onClose: () => void
  onSearch: () => void
  onSignOut: () => void
}

const isMac = /mac|iphone|ipad/i.test(navigator.platform)

export function Sidebar({ isOpen, onClose, onSearch, onSignOut }: SidebarProps) {
  const { viewer } = useViewer()
  const scheme = useScheme()
  const list = useRef<HTMLElement>(null)
  useFocus(isOpen, list)
  const other = scheme === 'dark' ? 'light' : 'dark'
  return (
    <>
      {isOpen && (
        <button
          type="button"
          className={styles.backdrop}
          aria-label="Close the list of conversations"
          onClick={onClose}
        />
      )}
      <nav
        ref={list}
        tabIndex={-1}
        className={isOpen ? `${styles.sidebar} ${styles.open}` : styles.sidebar}
        aria-label="Conversations"
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose()
        }}
      >
        <div className={styles.head}>
          <Logo size={24} />
          <span className={styles.name}>Parley</span>
          <IconButton label="Close the list" icon={icons.close} className={styles.close} onClick={onClose} />
        </div>
        <div className={styles.actions}>
          <button
            type="button"
            className={styles.action}
            onClick={() => {
              navigate({ sessionId: null })
              onClose()
            }}
          >
            {icons.plus} New conversation
          </button>
          <button type="button" className={styles.action} onClick={onSearch}>
            {icons.search} Search <kbd>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
          </button>
        </div>
        <SessionList onChoose={onClose} />
        <div className={styles.foot}>
          {viewer && (
            <>
              <Avatar person={viewer.user} />
              <div className={styles.who}>
                <strong>{nameOf(viewer.user)}</strong>
                <span>{viewer.tenant.name}</span>
              </div>
            </>
          )}
          <AccountMenu
            items={[
              {
                label: other === 'dark' ? 'Dark colours' : 'Light colours',
                icon: other === 'dark' ? icons.moon : icons.sun,
                onSelect: () => chooseScheme(other),
              },
              { label: 'Sign out', icon: icons.exit, onSelect: onSignOut },
            ]}
          />
        </div>
      </nav>
    </>
  )
}
