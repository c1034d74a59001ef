import type { ModelSpeech } from './model-server.ts'

/** Server-sent events, or for Ollama lines, as they go over the wire. */
type Events = { deltas: string[]; ending: string[]; fault: string }

const openAiReasons = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
}
const anthropicReasons = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
  'content-filter': 'refusal',
}

/** The chat completions API with `stream_options.include_usage`. */
export function openAiEvents({
  text = [],
  thinking,
  toolCalls = [],
  usage,
  finish = 'stop',
}: ModelSpeech): Events {
  const event = (fields: object) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_760_000_000, model: 'test-model', ...fields })}\n\n`
  const chunk = (delta: object, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, delta, finish_reason }] })
  return {
    deltas: [
      chunk({ role: 'assistant', content: '' }),
      ...(thinking ? [chunk({ reasoning_content: thinking })] : []),
      ...text.map((content) => chunk({ content })),
      ...toolCalls.flatMap(({ id, name, pieces }, index) => [
        chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }),
        ...pieces.map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })),
      ]),
    ],
    ending: [
      chunk({}, openAiReasons[finish]),
      ...(usage
        ? [
            event({
              choices: [],
              usage: {
                prompt_tokens: usage.inputTokens,
                completion_tokens: usage.outputTokens,
                total_tokens: usage.inputTokens + usage.outputTokens,
                prompt_tokens_details: { cached_tokens: usage.cachedInputTokens },
              },
            }),
          ]
        : []),
      'data: [DONE]\n\n',
    ],
    fault: `data: ${JSON.stringify({ error: { message: 'The engine is overloaded', type: 'server_error', code: null } })}\n\n`,
  }
}

/** The messages API. Its input tokens do not include the cached ones. */
export function anthropicEvents({
  text = [],
  thinking,
  toolCalls = [],
  usage,
  finish = 'stop',
}: ModelSpeech): Events {
  const event = (type: string, fields: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`
  const blocks: { start: object; deltas: object[] }[] = [
    ...(thinking
      ? [
          {
            start: { type: 'thinking', thinking: '', signature: '' },
            deltas: [{ type: 'thinking_delta', thinking }],
          },
        ]
      : []),
    ...(text.length > 0
      ? [
          {
            start: { type: 'text', text: '' },
            deltas: text.map((piece) => ({ type: 'text_delta', text: piece })),
          },
        ]
      : []),
    ...toolCalls.map(({ id, name, pieces }) => ({
      start: { type: 'tool_use', id, name, input: {} },
      deltas: pieces.map((piece) => ({ type: 'input_json_delta', partial_json: piece })),
    })),
  ]
  const cached = usage?.cachedInputTokens ?? 0
  return {
    deltas: [
      event('message_start', {
        message: {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          model: 'test-model',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: {
            input_tokens: (usage?.inputTokens ?? 0) - cached,
            cache_read_input_tokens: cached,
            cache_creation_input_tokens: 0,
            output_tokens: 1,
          },
        },
      }),
      event('ping', {}),
      ...blocks.flatMap(({ start, deltas }, index) => [
        event('content_block_start', { index, content_block: start }),
        ...deltas.map((delta) => event('content_block_delta', { index, delta })),
        // The last block is closed by the ending, so that a stream can break off within it.
        ...(index < blocks.length - 1 ? [event('content_block_stop', { index })] : []),
      ]),
    ],
    ending: [
      ...(blocks.length > 0 ? [event('content_block_stop', { index: blocks.length - 1 })] : []),
      event('message_delta', {
        delta: { stop_reason: anthropicReasons[finish], stop_sequence: null },
        usage: { output_tokens: usage?.outputTokens ?? 0 },
      }),
      event('message_stop', {}),
    ],
    fault: event('error', { error: { type: 'overloaded_error', message: 'Overloaded' } }),
  }
}

const googleReasons = { stop: 'STOP', length: 'MAX_TOKENS', 'tool-calls': 'STOP', 'content-filter': 'SAFETY' }

/** Gemini's `streamGenerateContent?alt=sse`. A call comes whole, and the model's thoughts count apart from its words. */
export function googleEvents({
  text = [],
  thinking,
  toolCalls = [],
  usage,
  finish = 'stop',
}: ModelSpeech): Events {
  const event = (fields: object) => `data: ${JSON.stringify(fields)}\r\n\r\n`
  const chunk = (part: object, more: object = {}) =>
    event({
      candidates: [{ content: { parts: [part], role: 'model' }, index: 0, ...more }],
      modelVersion: 'test-model',
      responseId: 'response-1',
    })
  return {
    deltas: [
      ...(thinking ? [chunk({ text: thinking, thought: true })] : []),
      ...text.map((piece) => chunk({ text: piece })),
      ...toolCalls.map(({ id, name, pieces }) =>
        chunk({ functionCall: { id, name, args: JSON.parse(pieces.join('') || '{}') } }),
      ),
    ],
    ending: [
      event({
        candidates: [
          {
            content: { parts: [{ text: '' }], role: 'model' },
            finishReason: googleReasons[finish],
            index: 0,
          },
        ],
        ...(usage && {
          usageMetadata: {
            promptTokenCount: usage.inputTokens,
            candidatesTokenCount: usage.outputTokens,
            totalTokenCount: usage.inputTokens + usage.outputTokens,
            cachedContentTokenCount: usage.cachedInputTokens,
          },
        }),
      }),
    ],
    fault: event({ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }),
  }
}

/** Ollama's chat API: a JSON object on each line. A call comes whole. */
export function ollamaEvents({
  text = [],
  thinking,
  toolCalls = [],
  usage,
  finish = 'stop',
}: ModelSpeech): Events {
  const line = (fields: object) =>
    `${JSON.stringify({ model: 'test-model', created_at: '2026-11-01T10:00:00Z', ...fields })}\n`
  const delta = (fields: object) =>
    line({ message: { role: 'assistant', content: '', ...fields }, done: false })
  return {
    deltas: [
      ...(thinking ? [delta({ thinking })] : []),
      ...text.map((content) => delta({ content })),
      ...toolCalls.map(({ id, name, pieces }) =>
        delta({
          tool_calls: [{ id, function: { name, arguments: JSON.parse(pieces.join('') || '{}') } }],
        }),
      ),
    ],
    ending: [
      line({
        message: { role: 'assistant', content: '' },
        done: true,
        done_reason: finish === 'length' ? 'length' : 'stop',
        ...(usage && {
          prompt_eval_count: usage.inputTokens,
          prompt_eval_cached_count: usage.cachedInputTokens,
          eval_count: usage.outputTokens,
        }),
      }),
    ],
    fault: `${JSON.stringify({ error: 'server busy, please try again' })}\n`,
  }
}
