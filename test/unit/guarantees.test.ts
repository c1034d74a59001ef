import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Control, controls } from '../faults/controls.ts'
import { type Scenario, scenarios } from '../faults/scenarios.ts'

const root = join(import.meta.dirname, '../..')

it('each guarantee of the feed and the runs has tests that are there, and a control', async () => {
  const page = await readFile(join(root, 'docs/guarantees.md'), 'utf8')
  const rows = page.split('\n').flatMap((line) => {
    const [, name = '', tests = '', control = ''] =
      /^\| (G\d+) \| (`test\/.*|all of .*) \| (.*) \|$/.exec(line) ?? []
    return name
      ? [{ name, paths: tests.match(/test\/[\w./-]+/g) ?? [], hasControl: control.trim() !== '' }]
      : []
  })
  for (const path of rows.flatMap(({ paths }) => paths)) await access(join(root, path))
  const controlled = rows.filter(({ hasControl }) => hasControl).map(({ name }) => name)
  expect(controlled).toEqual([
    'G1',
    'G2',
    'G3',
    'G4',
    'G5',
    'G7',
    'G8',
    'G9',
    'G10',
    'G11',
    'G12',
    'G14',
    'G15',
  ])
  const named = controls.flatMap(({ without }) => without.match(/G\d+/g) ?? [])
  // The control of G12 needs no second node, and stands beside its test.
  expect(new Set([...named, 'G12'])).toEqual(new Set(controlled))
})

it('each protection that a control takes out is still where it looks for it', async () => {
  const all: (Scenario & Partial<Pick<Control, 'mutants'>>)[] = [...controls, ...Object.values(scenarios)]
  const taken = all.flatMap(({ given = [], givenOfFirst = [], mutants = [] }) => [
    ...given,
    ...givenOfFirst,
    ...mutants,
  ])
  for (const { file, from } of taken) expect(await readFile(join(root, file), 'utf8'), file).toContain(from)
})
