import { Suspense, useEffect, useRef } from 'react'
import { navigate } from '../route.ts'
import { IconButton } from '../ui/button.tsx'
import { icons } from '../ui/icons.tsx'
import { Skeleton } from '../ui/skeleton.tsx'
import { useFocus } from '../ui/use-focus.ts'
import styles from './drawer.module.css'
import type { Panel } from './panel.ts'

const close = () => navigate({ panel: null }, { replace: true })

/** Holds the open panel at the right; Escape closes it. */
export function Drawer({ panel: { id, title, Panel }, sessionId }: { panel: Panel; sessionId: string }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useFocus(true, heading)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another panel is another place to read from
  useEffect(() => heading.current?.focus(), [id])
  return (
    <aside
      className={styles.drawer}
      aria-label={title}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || event.defaultPrevented) return
        event.stopPropagation()
        close()
      }}
    >
      <div className={styles.head}>
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <IconButton label="Close the panel" icon={icons.close} onClick={close} />
      </div>
      <div className={styles.body}>
        <Suspense fallback={<Skeleton label={`Loading ${title}`} />}>
          <Panel key={sessionId} sessionId={sessionId} />
        </Suspense>
      </div>
    </aside>
  )
}
