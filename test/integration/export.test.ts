import { beforeAll, describe, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { query } from '../support/postgres.ts'
import { addMessages, type Exports, startExports } from './export.harness.ts'

let exports: Exports
beforeAll(async () => {
  exports = await startExports()
})

describe('an export as JSON', () => {
  it('holds all of a session, in a file that is named after it', async () => {
    const sessionId = await exports.conversation()
    const { url, filename, expiresAt } = await exports.link(sessionId)
    expect(filename).toBe('Über-Tides.json')
    const lifeMs = Date.parse(expiresAt) - Date.now()
    expect(lifeMs).toBeGreaterThan(590_000)
    expect(lifeMs).toBeLessThanOrEqual(600_000)
    const response = await exports.open(url)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'content-disposition': `attachment; filename="_ber-Tides.json"; filename*=UTF-8''%C3%9Cber-Tides.json`,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'transfer-encoding': 'chunked',
    })
    const document = JSON.parse(await response.text())
    expect(document).toMatchObject({
      format: 'parley/1',
      session: {
        id: sessionId,
        title: 'Über "Tides"/…',
        titleSource: 'PERSON',
        owner: 'alice',
        agent: 'primary',
        tags: ['sea'],
        forkedFrom: null,
      },
      messages: [
        { role: 'USER', content: 'Tell me about tides', author: 'alice', status: 'COMPLETE' },
        { role: 'ASSISTANT', agent: 'primary', model: 'demo:chat', finishReason: 'STOP' },
        {
          role: 'ASSISTANT',
          toolCalls: [{ id: 'c1', name: 'look_up', arguments: { place: 'Brest' } }],
        },
        { role: 'TOOL', toolCallId: 'c1', author: 'alice' },
        { role: 'USER', metadata: { mood: 'good' } },
      ],
    })
    expect(document.messages[1].outputTokens).toBeGreaterThan(0)
    expect(document.messages[0]).not.toHaveProperty('toolCalls')
  })

  it('holds older versions and the place that the session was forked from', async () => {
    const api = exports.app.api()
    const source = await api.createSession()
    const sessionId = await api.createSession()
    const added = await api.run(addMessages, {
      input: { sessionId, messages: ['old', 'new'].map((content) => ({ role: 'USER', content })) },
    })
    const [old, current] = added.addMessages.messages.map(({ id }: { id: string }) =>
      decodeIdOf('Message', id),
    )
    await query(exports.app.databaseUrl, 'UPDATE messages SET replaced_at = now() WHERE id = $1', {
      values: [old],
    })
    await query(exports.app.databaseUrl, 'UPDATE messages SET replaces_id = $1 WHERE id = $2', {
      values: [old, current],
    })
    await query(
      exports.app.databaseUrl,
      'UPDATE sessions SET parent_id = $1, forked_at_seq = 3 WHERE id = $2',
      {
        values: [decodeIdOf('Session', source), decodeIdOf('Session', sessionId)],
      },
    )
    const { session, messages } = JSON.parse(
      await (await exports.open((await exports.link(sessionId)).url)).text(),
    )
    expect(session.forkedFrom).toEqual({ session: source, seq: 3 })
    expect(messages).toMatchObject([
      { content: 'old', replacedAt: expect.stringMatching(/Z$/) },
      { content: 'new', replaces: added.addMessages.messages[0].id },
    ])
  })
})

describe('an export as Markdown', () => {
  it('can be read by people', async () => {
    const { url, filename } = await exports.link(await exports.conversation(), undefined, 'MARKDOWN')
    expect(filename).toBe('Über-Tides.md')
    const response = await exports.open(url)
    expect(response.headers.get('content-type')).toBe('text/markdown; charset=utf-8')
    const text = (await response.text()).replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, 'NOW')
    const reply = text.slice(text.indexOf('## Assistant'), text.indexOf('## Assistant · NOW'))
    expect(reply).toContain('(demo:chat)')
    expect(text.replace(reply, '')).toBe(`# Über "Tides"/…

Started NOW · by alice · agent \`primary\`

## alice · NOW

Tell me about tides

## Assistant · NOW

Calls \`look_up\`:

\`\`\`json
{
  "place": "Brest"
}
\`\`\`

## Result of \`look_up\` · NOW

\`\`\`\`
high at \`\`\`10:42\`\`\`
\`\`\`\`

## alice · NOW

Thanks

\`\`\`js
let open = 1
\`\`\`
`)
  })

  it('leaves out what was replaced, and says how a reply ended', async () => {
    const api = exports.app.api()
    const sessionId = await api.createSession()
    const messages = [
      { role: 'USER', content: 'The first try' },
      { role: 'USER', content: 'The second try' },
      { role: 'ASSISTANT', content: 'Half an' },
    ]
    await api.run(addMessages, { input: { sessionId, messages } })
    const where = `WHERE session_id = '${decodeIdOf('Session', sessionId)}'`
    await query(exports.app.databaseUrl, `UPDATE messages SET replaced_at = now() ${where} AND seq = 1`)
    await query(exports.app.databaseUrl, `UPDATE messages SET status = 'CANCELLED' ${where} AND seq = 3`)
    const text = await (await exports.open((await exports.link(sessionId, undefined, 'MARKDOWN')).url)).text()
    // The title is the first message's, as it was.
    expect(text.slice(text.indexOf('##'))).not.toContain('The first try')
    expect(text).toContain('Half an\n\n*(stopped)*\n')
  })
})
