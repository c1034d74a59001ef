import { useStatus } from '@parley/client/apollo'
import { useEffect, useState } from 'react'
import styles from './connection-banner.module.css'

/** Milliseconds: a cut that mends at once is not worth a word. */
const quietMs = 1_000

/** Says that the page is cut off from the server, as long as it is. */
export function ConnectionBanner() {
  const status = useStatus()
  const isCutOff = status.state === 'reconnecting'
  const [isShown, setShown] = useState(false)
  useEffect(() => {
    if (!isCutOff) return setShown(false)
    const timer = setTimeout(() => setShown(true), quietMs)
    return () => clearTimeout(timer)
  }, [isCutOff])
  return (
    <div role="status">
      {isShown && (
        <div className={styles.banner}>
          {navigator.onLine
            ? 'Connection lost. Trying again…'
            : 'You are offline. The conversation goes on when the network is back.'}
        </div>
      )}
    </div>
  )
}
