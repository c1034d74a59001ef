import { glob, readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { schema } from '../../src/schema.ts'

/** Changes of rights, tokens, limits, agents and models, what ends things, and what brings them in and out. */
const always = [
  'addParticipant',
  'createAgent',
  'deleteSession',
  'eraseUser',
  'exportSession',
  'importSession',
  'loadModel',
  'pullModel',
  'purgeSession',
  'removeParticipant',
  'restoreSession',
  'revokeTokens',
  'setModelDefaults',
  'setModelPolicy',
  'setQuota',
  'unloadModel',
  'updateAgent',
  'updateParticipant',
]

/** What people do to their own, and others may do to it: that is written down. */
const toAnothers = [
  'clearMemories',
  'deleteDocument',
  'deleteMemory',
  'deleteMessage',
  'deleteTemplate',
  'editMessage',
  'regenerateMessage',
  'saveMemories',
  'saveMemory',
  // Where it takes somebody's question back (`ROLLBACK`).
  'sendMessage',
  'updateDocument',
  'updateSession',
  'updateTemplate',
]

const never = {
  'adds something, which tells by itself whose it is': [
    'addMessages',
    'complete',
    'createDocument',
    'createSession',
    'createTemplate',
    'executeTemplate',
    'forkSession',
    'getOrCreateSession',
    // The message with a result holds who gave or approved it.
    'submitToolResults',
  ],
  'stops or moves what is under way, and takes nothing that is kept': [
    'cancelRun',
    'cancelSessionRuns',
    'moveQueuedRun',
  ],
  'is about nobody but who does it': ['markRead', 'setTyping'],
}

it('of every mutation it is settled whether the audit log has it', () => {
  const settled = [...always, ...toAnothers, ...Object.values(never).flat()]
  expect(settled.sort()).toEqual(Object.keys(schema.getMutationType()?.getFields() ?? {}).sort())
})

it('those that it has are the ones that the sources write down', async () => {
  const written = new Set<string>()
  for await (const path of glob('src/features/**/*.ts')) {
    const source = await readFile(path, 'utf8')
    if (!source.includes("audit/record.ts'")) continue
    for (const [, name = ''] of source.matchAll(/(?:action: |viewer, |of, |id, )'(\w+)'/g)) written.add(name)
  }
  const mutations = Object.keys(schema.getMutationType()?.getFields() ?? {})
  expect([...written].filter((name) => mutations.includes(name)).sort()).toEqual(
    [...always, ...toAnothers].sort(),
  )
})
