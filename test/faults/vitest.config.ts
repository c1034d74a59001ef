import { mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** The long form: the controls take minutes, and stay out of `npm test`. */
export default mergeConfig(base, { test: { include: ['test/faults/*.long.ts'] } })
