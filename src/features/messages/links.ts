import { z } from 'zod'
import type { Message } from '../../db/client.ts'
import { jsonObject, text } from '../../lib/checks.ts'
import type { FieldFault } from '../../lib/errors.ts'

/** A call of a tool, as a model asked for it. */
export const toolCall = z.object({
  id: text({ min: 1, max: 255 }),
  name: text({ min: 1, max: 64 }),
  arguments: jsonObject({ maxBytes: 65_536 }),
})

type Linked = {
  role: Message['role']
  content?: string | null | undefined
  toolCalls?: readonly { id: string }[] | null | undefined
  toolCallId?: string | null | undefined
}

/** What is wrong with the messages by themselves, and the calls that are answered but not made among them, by index. */
export type Links = { faults: FieldFault[]; unknown: Map<number, string> }

export function linksOf(messages: readonly Linked[]): Links {
  const called = new Set<string>()
  const unknown = new Map<number, string>()
  const faults: FieldFault[] = []
  for (const [index, { role, content, toolCalls, toolCallId }] of messages.entries()) {
    const fault = (field: string, message: string) =>
      faults.push({ path: `messages.${index}.${field}`, message })
    if (role === 'TOOL' && !toolCallId)
      fault('toolCallId', 'is missing; a TOOL message names the call that it answers')
    if (role !== 'TOOL' && toolCallId) fault('toolCallId', 'goes with the role TOOL only')
    if (role !== 'ASSISTANT' && toolCalls?.length) fault('toolCalls', 'go with the role ASSISTANT only')
    if (!content?.trim() && !(role === 'ASSISTANT' && toolCalls?.length))
      fault('content', 'is empty; some text is needed')
    if (role === 'TOOL' && toolCallId && !called.has(toolCallId)) unknown.set(index, toolCallId)
    const ids = (toolCalls ?? []).map(({ id }) => id)
    for (const place of repeatedIds(ids))
      fault(`toolCalls.${place}.id`, 'is that of an earlier call of the message')
    for (const id of ids) called.add(id)
  }
  return { faults, unknown }
}

/** Where among the ids within one message there is one for the second time: what refers to it could not tell which is meant. */
export function repeatedIds(ids: readonly (string | number)[]): number[] {
  const seen = new Set<string | number>()
  return ids.flatMap((id, place) => {
    if (seen.has(id)) return place
    seen.add(id)
    return []
  })
}
