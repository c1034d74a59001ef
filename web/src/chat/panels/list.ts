import { lazy } from 'react'
import { icons } from '../ui/icons.tsx'
import type { Panel } from './panel.ts'

/** The panels in the order of their icons. */
export const panels: readonly Panel[] = [
  {
    id: 'share',
    title: 'Share',
    icon: icons.share,
    Panel: lazy(async () => ({ default: (await import('./share/panel.tsx')).SharePanel })),
  },
  {
    id: 'documents',
    title: 'Documents',
    icon: icons.document,
    Panel: lazy(async () => ({ default: (await import('./documents/panel.tsx')).DocumentsPanel })),
  },
  {
    id: 'model',
    title: 'Model and parameters',
    icon: icons.sliders,
    Panel: lazy(async () => ({ default: (await import('./model/panel.tsx')).ModelPanel })),
  },
  {
    id: 'context',
    title: 'Context of the next message',
    icon: icons.context,
    Panel: lazy(async () => ({ default: (await import('./context/panel.tsx')).ContextPanel })),
  },
  {
    id: 'memory',
    title: 'Memory',
    icon: icons.memory,
    Panel: lazy(async () => ({ default: (await import('./memory/panel.tsx')).MemoryPanel })),
  },
  {
    id: 'usage',
    title: 'Usage and cost',
    icon: icons.chart,
    Panel: lazy(async () => ({ default: (await import('./usage/panel.tsx')).UsagePanel })),
  },
  {
    id: 'transfer',
    title: 'Export and import',
    icon: icons.transfer,
    Panel: lazy(async () => ({ default: (await import('./transfer/panel.tsx')).TransferPanel })),
  },
  {
    id: 'settings',
    title: 'Settings',
    icon: icons.settings,
    Panel: lazy(async () => ({ default: (await import('./settings/panel.tsx')).SettingsPanel })),
  },
]
