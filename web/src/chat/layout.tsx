import styles from './layout.module.css'
import { Drawer } from './panels/drawer.tsx'
import { panels } from './panels/list.ts'
import { useRoute } from './route.ts'
import { EmptyState } from './ui/empty-state.tsx'
import { icons } from './ui/icons.tsx'

type LayoutProps = { endpoint: string; token: string; onSignOut: (reason: string | null) => void }

/** Sidebar, conversation and the open panel, side by side; on a phone one over the other. */
export function Layout(_props: LayoutProps) {
  const { sessionId, panel: panelId } = useRoute()
  const panel = panels.find(({ id }) => id === panelId)
  return (
    <div className={styles.layout}>
      <main className={styles.main}>
        <EmptyState icon={icons.chat} title="No conversation yet" text="Start one." />
      </main>
      {panel && sessionId && <Drawer panel={panel} sessionId={sessionId} />}
    </div>
  )
}
