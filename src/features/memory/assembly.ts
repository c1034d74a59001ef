import type { Config } from '../../config.ts'
import type { Database } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Sessions } from '../sessions/service.ts'
import { createMemories, type Memories } from './service.ts'
import { createMemoryStore } from './store.ts'
import { createMemoryTools, type MemoryTools } from './tools.ts'

type Dependencies = {
  config: Config
  database: Database
  changes: Changes
  sessions: Sessions
  jobs: Jobs
}

/** Puts the parts of this slice together; `memoryTools` is what runs take of it. */
export function createMemoryServices({ config, database, changes, sessions, jobs }: Dependencies): {
  memories: Memories
  memoryTools: MemoryTools
} {
  const store = createMemoryStore({ changes, maxKeys: config.memory.maxKeys })
  return {
    memories: createMemories({ config: config.memory, database, sessions, store, jobs }),
    memoryTools: createMemoryTools(config.memory, store),
  }
}
