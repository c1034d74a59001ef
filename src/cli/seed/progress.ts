import type { WriteStream } from 'node:tty'

export type Progress = {
  /** So many of the total are done; ends the line with the last of them. */
  reach(done: number): void
}

const barWidth = 40
const toEndOfLine = '\x1b[K'

/** A bar that fills where people look on; else a line for every tenth of the way. `done` is what there is already. */
export function createProgress(
  noun: string,
  { done: before, total }: { done: number; total: number },
  output: WriteStream,
): Progress {
  const startedAt = performance.now()
  let toldTenths = Math.floor((before / total) * 10)

  const left = (done: number) => {
    const minutes = (((performance.now() - startedAt) / (done - before)) * (total - done)) / 60_000
    return done === total ? '' : `, ${minutes < 1 ? 'less than a minute' : `${Math.ceil(minutes)} min`} left`
  }

  return {
    reach(done) {
      const text = `${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${noun}${left(done)}`
      if (output.isTTY) {
        // One line: what goes beyond the terminal's width would begin another with every step.
        const width = Math.max(0, Math.min(barWidth, (output.columns || 80) - text.length - 4))
        const bar = '#'.repeat(Math.round((done / total) * width)).padEnd(width, '.')
        output.write(`\r[${bar}] ${text}${toEndOfLine}${done === total ? '\n' : ''}`)
        return
      }
      const tenths = Math.floor((done / total) * 10)
      if (tenths > toldTenths) output.write(`${text}\n`)
      toldTenths = tenths
    },
  }
}
