import { afterAll } from 'vitest'
import { cleanUp } from './at-end.ts'

// Files share the modules that they import, so that a hook at the top of one would serve its first importer alone.
afterAll(cleanUp)
