import { ParleyError } from '../../lib/errors.ts'
import type { ProviderError } from '../../llm/provider.ts'
import type { Reply } from './reply.ts'
import type { Ending } from './settling.ts'

/** Why a reply was stopped before the model ended it. `lost`: the run or its session is gone from under it. */
export type StopReason = 'cancelled' | 'shutdown' | 'lost' | 'full' | 'first-token' | 'stall' | 'duration'

const timeouts = {
  'first-token': 'The model sent nothing within the time that is allowed for a first word.',
  stall: 'The model stopped sending in the middle of the reply.',
  duration: 'The reply took longer than a run may take.',
} as const

const providerCodes: Record<ProviderError['kind'], string> = {
  unauthorized: 'MODEL_UNAVAILABLE',
  'rate-limited': 'RATE_LIMITED',
  overloaded: 'MODEL_UNAVAILABLE',
  invalid: 'BAD_USER_INPUT',
  connection: 'MODEL_UNAVAILABLE',
}

type Outcome = Omit<Ending, 'cost'>

/**
 * How the run ends, from what the reply holds and why it stopped. A model that had ended by itself wins over a stop, but
 * for a run that is lost: nothing comes of what it called.
 */
export function outcomeOf(reply: Reply, reason: StopReason | null, failure: unknown): Outcome {
  const base = { text: reply.text, toolCalls: reply.toolCalls, usage: reply.usage, error: null }
  const failed = (error: Ending['error']): Outcome => ({
    ...base,
    status: 'FAILED',
    finishReason: 'ERROR',
    error,
  })
  if (failure) return failed(failureOf(failure))
  if (reply.error) return failed({ code: providerCodes[reply.error.kind], message: reply.error.message })
  if (reason === 'lost') return { ...base, status: 'CANCELLED', finishReason: 'CANCELLED' }
  if (reply.finishReason && reply.finishReason !== 'CANCELLED')
    return { ...base, status: 'COMPLETED', finishReason: reply.finishReason }
  if (reason === 'shutdown') return { ...base, status: 'INTERRUPTED', finishReason: 'OTHER' }
  if (reason === 'cancelled') return { ...base, status: 'CANCELLED', finishReason: 'CANCELLED' }
  if (reason === 'full') return { ...base, status: 'COMPLETED', finishReason: 'LENGTH' }
  return failed({
    code: 'MODEL_UNAVAILABLE',
    message: reason
      ? timeouts[reason]
      : 'The model ended its stream without saying that the reply is complete.',
  })
}

const failureOf = (failure: unknown) =>
  failure instanceof ParleyError
    ? { code: failure.code, message: failure.message }
    : {
        code: 'INTERNAL_SERVER_ERROR',
        message: 'The reply could not be made; the log of the server says why.',
      }
