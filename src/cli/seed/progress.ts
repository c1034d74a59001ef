import type { WriteStream } from 'node:tty'

export type Progress = {
  /** So much of the total is done. */
  reach(done: number): void
}

const barWidth = 40

/** A bar that fills where people look on; else a line for every tenth of the way. */
export function createProgress(noun: string, total: number, output: WriteStream): Progress {
  let toldTenths = 0
  return {
    reach(done) {
      const share = done / total
      const text = `${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${noun}`
      if (output.isTTY) {
        const bar = '#'.repeat(Math.round(share * barWidth)).padEnd(barWidth, '.')
        output.write(`\r[${bar}] ${text}${done === total ? '\n' : ''}`)
        return
      }
      const tenths = Math.floor(share * 10)
      if (tenths > toldTenths) output.write(`${text}\n`)
      toldTenths = tenths
    },
  }
}
