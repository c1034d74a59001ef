/**
 * How many tokens fit into one request, of models whose providers do not tell. Where a family grows, the smaller window
 * of it stands here: what is left out of a request is missed less than a request that is refused.
 */
const windows: readonly (readonly [model: RegExp, tokens: number])[] = [
  [/^openai:gpt-5/, 272_000],
  [/^openai:gpt-4\.1/, 1_047_576],
  [/^openai:gpt-4o/, 128_000],
  [/^openai:gpt-4-turbo/, 128_000],
  [/^openai:gpt-4/, 8_192],
  [/^openai:gpt-3\.5/, 16_385],
  [/^openai:o\d/, 200_000],
  [/^anthropic:claude/, 200_000],
]

/** By its id, `provider:name`; null where nothing is known. */
export const knownWindow = (modelId: string): number | null =>
  windows.find(([model]) => model.test(modelId))?.[1] ?? null
