import type { ReactNode } from 'react'

/** Line icons on a 20 by 20 grid; they take the colour of the text and say nothing to a screen reader. */
const icon = (paths: ReactNode) => (
  <svg
    width="20"
    height="20"
    viewBox="0 0 20 20"
    fill="none"
    stroke="currentColor"
    strokeWidth="1.5"
    strokeLinecap="round"
    strokeLinejoin="round"
    aria-hidden="true"
  >
    {paths}
  </svg>
)

export const icons = {
  plus: icon(<path d="M10 4v12M4 10h12" />),
  search: icon(<path d="M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12zM13.5 13.5 17 17" />),
  close: icon(<path d="m5 5 10 10M15 5 5 15" />),
  menu: icon(<path d="M3 6h14M3 10h14M3 14h9" />),
  more: icon(<path d="M4.5 10h.01M10 10h.01M15.5 10h.01" strokeWidth="2.5" />),
  send: icon(<path d="M10 16V4M5 9l5-5 5 5" strokeWidth="1.8" />),
  stop: icon(<rect x="5.5" y="5.5" width="9" height="9" rx="1.5" fill="currentColor" stroke="none" />),
  trash: icon(
    <path d="M3.5 5.5h13M8 5.5V3.8a.8.8 0 0 1 .8-.8h2.4a.8.8 0 0 1 .8.8v1.7M5.5 5.5l.7 10.1a1.4 1.4 0 0 0 1.400 1.300h4.8a1.4 1.4 0 0 0 1.4-1.300l.7-10.100M8.500 9v4.500M11.500 9v4.500" />,
  ),
  copy: icon(
    <path d="M7 7V4.5A1.5 1.5 0 0 1 8.5 3h7A1.5 1.5 0 0 1 17 4.5v7a1.5 1.5 0 0 1-1.5 1.5H13M4.5 7h7A1.5 1.5 0 0 1 13 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 15.5v-7A1.5 1.5 0 0 1 4.5 7z" />,
  ),
  check: icon(<path d="m4 10.5 4 4 8-9" />),
  edit: icon(<path d="m12.5 4.5 3 3L7 16H4v-3zM11 6l3 3" />),
  retry: icon(<path d="M16 10a6 6 0 1 1-1.8-4.300L16 7.5M16 3.5v4h-4" />),
  fork: icon(
    <path d="M6 7v6M6 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 17a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM14 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM14 7c0 3-3 3.5-7 4" />,
  ),
  down: icon(<path d="M10 4v12M5 11l5 5 5-5" />),
  up: icon(<path d="M10 16V4M5 9l5-5 5 5" />),
  previous: icon(<path d="m12 5-5 5 5 5" />),
  next: icon(<path d="m8 5 5 5-5 5" />),
  back: icon(<path d="M16 10H4M9 5l-5 5 5 5" />),
  tool: icon(
    <path d="M12.5 3.5a4 4 0 0 0-4.8 5.300l-4.5 4.5a1.8 1.8 0 0 0 2.5 2.5l4.5-4.5a4 4 0 0 0 5.3-4.800l-2.3 2.3-2.4-.6-.6-2.400z" />,
  ),
  warning: icon(
    <path d="M10 7v4M10 14h.01M8.8 3.7 2.3 15a1.4 1.4 0 0 0 1.2 2h13a1.4 1.4 0 0 0 1.2-2L11.2 3.700a1.4 1.4 0 0 0-2.4 0z" />,
  ),
  chat: icon(
    <path d="M4 3.5h12A1.5 1.5 0 0 1 17.5 5v8a1.5 1.5 0 0 1-1.5 1.5H9.5L5.5 18v-3.5H4A1.5 1.5 0 0 1 2.5 13V5A1.5 1.5 0 0 1 4 3.5z" />,
  ),
  share: icon(
    <path d="M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 16.5c0-2.8 2.2-4.5 5-4.5 1.6 0 3 .5 4 1.5M15 11v6M12 14h6" />,
  ),
  document: icon(
    <path d="M5.5 2.5h6l4 4v10a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1v-13a1 1 0 0 1 1-1zM11.5 2.5v4h4M7 11h6M7 14h4" />,
  ),
  sliders: icon(
    <path d="M3 6h8M15 6h2M3 14h2M9 14h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4z" />,
  ),
  context: icon(<path d="m10 3 7 3.5-7 3.5-7-3.5zM3 10l7 3.5 7-3.5M3 13.5 10 17l7-3.5" />),
  memory: icon(<path d="M6 3.5h8V17l-4-3-4 3z" />),
  chart: icon(<path d="M3 17h14M5.5 14V9.5M10 14V4M14.5 14V7" />),
  transfer: icon(<path d="M6 3v11M3 6l3-3 3 3M14 17V6M11 14l3 3 3-3" />),
  settings: icon(
    <path d="M10 12.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM10 2.5v2M10 15.5v2M2.5 10h2M15.5 10h2M4.7 4.700l1.4 1.400M13.9 13.900l1.4 1.400M15.3 4.700l-1.4 1.400M6.1 13.900l-1.4 1.4" />,
  ),
  clock: icon(<path d="M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6v4l2.5 2" />),
  sun: icon(
    <path d="M10 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM10 2.5v1.5M10 16v1.5M2.5 10H4M16 10h1.5M4.7 4.700l1 1M14.3 14.300l1 1M15.3 4.700l-1 1M5.7 14.300l-1 1" />,
  ),
  moon: icon(<path d="M16.5 12A7 7 0 0 1 8 3.5a7 7 0 1 0 8.5 8.5z" />),
  exit: icon(
    <path d="M8 3.5H5A1.5 1.5 0 0 0 3.5 5v10A1.5 1.5 0 0 0 5 16.5h3M13 13.5l3.5-3.5L13 6.5M16 10H8" />,
  ),
} as const
