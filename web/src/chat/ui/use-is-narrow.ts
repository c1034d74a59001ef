import { useSyncExternalStore } from 'react'

const narrow = matchMedia('(max-width: 760px)')

/** Whether the page has the width of a phone. */
export const useIsNarrow = () =>
  useSyncExternalStore(
    (listener) => {
      narrow.addEventListener('change', listener)
      return () => narrow.removeEventListener('change', listener)
    },
    () => narrow.matches,
  )
