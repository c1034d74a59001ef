import { writeFile } from 'node:fs/promises'

/** What the model says, token by token, to whatever it is asked; a number is one byte. No piece may come twice. */
type Speech = {
  says: readonly (string | number)[]
  /** It begins anew where the last piece is said, instead of ending. */
  isEndless?: boolean
  contextLength?: number
}

// Wide enough for a dimension of its own to each token; a multiple of what the quantized kernels want.
const width = 320

/**
 * Writes a llama model of one layer whose attention and feed-forward add nothing, so that each token alone makes the
 * next: the last one of any prompt the first piece, each piece the one after it, and the last one the end.
 */
export async function writeTinyModel(path: string, { says, isEndless = false, contextLength = 512 }: Speech) {
  const special = ['<unk>', '<s>', '</s>']
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`)
  const words = says.filter((piece) => typeof piece === 'string')
  const tokens = [...special, ...bytes, ...words.map((word) => word.replaceAll(' ', '▁'))]
  if (tokens.length > width) throw new Error(`At most ${width - 259} words.`)
  const firstWord = special.length + bytes.length
  const end = 2
  const chain = says.map((piece) =>
    typeof piece === 'number' ? special.length + piece : firstWord + words.indexOf(piece),
  )
  const after = new Map(
    chain.map((token, index) => [token, chain[index + 1] ?? (isEndless ? chain[0] : end)]),
  )
  const next = (token: number) => after.get(token) ?? chain[0] ?? end

  const embedding = new Float32Array(tokens.length * width)
  const output = new Float32Array(tokens.length * width)
  for (let token = 0; token < tokens.length; token += 1) {
    embedding[token * width + token] = 1
    output[next(token) * width + token] = 1
  }
  const zeros = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)) })
  const ones = (size: number) => ({ shape: [size], data: new Float32Array(size).fill(1) })
  const hidden = 32
  await writeGguf(
    path,
    [
      ['general.architecture', 'llama'],
      ['general.name', 'tiny'],
      ['llama.context_length', contextLength],
      ['llama.embedding_length', width],
      ['llama.block_count', 1],
      ['llama.feed_forward_length', hidden],
      ['llama.attention.head_count', 4],
      ['llama.attention.head_count_kv', 4],
      ['llama.attention.layer_norm_rms_epsilon', { float: 1e-5 }],
      ['llama.rope.dimension_count', width / 4],
      ['llama.vocab_size', tokens.length],
      ['tokenizer.ggml.model', 'llama'],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.scores', { floats: tokens.map((_, index) => -index) }],
      ['tokenizer.ggml.token_type', tokens.map((_, index) => tokenType(index, special.length, firstWord))],
      ['tokenizer.ggml.unknown_token_id', 0],
      ['tokenizer.ggml.bos_token_id', 1],
      ['tokenizer.ggml.eos_token_id', end],
    ],
    {
      'token_embd.weight': { shape: [width, tokens.length], data: embedding },
      'output.weight': { shape: [width, tokens.length], data: output },
      'output_norm.weight': ones(width),
      'blk.0.attn_norm.weight': ones(width),
      'blk.0.ffn_norm.weight': ones(width),
      'blk.0.attn_q.weight': zeros(width, width),
      'blk.0.attn_k.weight': zeros(width, width),
      'blk.0.attn_v.weight': zeros(width, width),
      'blk.0.attn_output.weight': zeros(width, width),
      'blk.0.ffn_gate.weight': zeros(width, hidden),
      'blk.0.ffn_up.weight': zeros(width, hidden),
      'blk.0.ffn_down.weight': zeros(hidden, width),
    },
  )
}

const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, '0')

/** Of the file format: 1 ordinary, 2 unknown, 3 control, 6 byte. */
function tokenType(index: number, specials: number, firstWord: number): number {
  if (index < specials) return index === 0 ? 2 : 3
  return index < firstWord ? 6 : 1
}

type Value =
  | string
  | number
  | readonly string[]
  | readonly number[]
  | { float: number }
  | { floats: number[] }
type Tensor = { shape: readonly number[]; data: Float32Array }

const alignment = 32
const types = { int32: 5, uint32: 4, float32: 6, string: 8, array: 9 }

/** GGUF, version 3: header, metadata, the list of tensors, and their numbers, each at a multiple of the alignment. */
async function writeGguf(path: string, metadata: [string, Value][], tensors: Record<string, Tensor>) {
  const parts: Buffer[] = []
  const number = (size: number, write: (buffer: Buffer) => void) => {
    const buffer = Buffer.alloc(size)
    write(buffer)
    parts.push(buffer)
  }
  const uint32 = (value: number) => number(4, (buffer) => buffer.writeUInt32LE(value))
  const uint64 = (value: number) => number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)))
  const float32 = (value: number) => number(4, (buffer) => buffer.writeFloatLE(value))
  const string = (value: string) => {
    const text = Buffer.from(value)
    uint64(text.length)
    parts.push(text)
  }
  const array = <T>(type: number, values: readonly T[], write: (value: T) => void) => {
    uint32(types.array)
    uint32(type)
    uint64(values.length)
    for (const value of values) write(value)
  }

  parts.push(Buffer.from('GGUF'))
  uint32(3)
  uint64(Object.keys(tensors).length)
  uint64(metadata.length)
  for (const [key, value] of metadata) {
    string(key)
    if (typeof value === 'string') {
      uint32(types.string)
      string(value)
    } else if (typeof value === 'number') {
      uint32(types.uint32)
      uint32(value)
    } else if ('float' in value) {
      uint32(types.float32)
      float32(value.float)
    } else if ('floats' in value) array(types.float32, value.floats, float32)
    else if (value.every((each) => typeof each === 'string')) array(types.string, value, string)
    else array(types.int32, value as readonly number[], uint32)
  }
  let offset = 0
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    string(name)
    uint32(shape.length)
    for (const size of shape) uint64(size)
    uint32(0)
    uint64(offset)
    offset += padded(data.byteLength)
  }
  const head = Buffer.concat(parts)
  const body = Buffer.alloc(offset)
  let at = 0
  for (const { data } of Object.values(tensors)) {
    Buffer.from(data.buffer).copy(body, at)
    at += padded(data.byteLength)
  }
  await writeFile(path, Buffer.concat([head, Buffer.alloc(padded(head.length) - head.length), body]))
}

const padded = (length: number) => Math.ceil(length / alignment) * alignment
