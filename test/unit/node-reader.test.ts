import { describe, expect, it } from 'vitest'
import { createNodeReader, type Sensors } from '../../src/features/system/node.ts'

const broken = () => Promise.reject(new Error('no such sensor'))
const card = { model: 'GA104', vendor: 'NVIDIA', bus: '', vram: 8_192, vramDynamic: false }

const sensorsWith = (sensors: object) => async () =>
  ({ currentLoad: broken, mem: broken, graphics: broken, ...sensors }) as unknown as Sensors

describe('the reading of a machine', () => {
  it('is what the machine tells', async () => {
    const { cpu, memory, disk, loadAverage, gpus } = await createNodeReader({ directory: '.' })()
    expect(cpu?.cores).toBeGreaterThan(0)
    expect(cpu?.load).toBeGreaterThanOrEqual(0)
    expect(cpu?.load).toBeLessThanOrEqual(1)
    for (const space of [memory, disk]) {
      expect(space?.totalBytes).toBeGreaterThan(1_048_576)
      expect(space?.availableBytes).toBeLessThanOrEqual(space?.totalBytes ?? 0)
      expect(space?.usedBytes).toBe((space?.totalBytes ?? 0) - (space?.availableBytes ?? 0))
    }
    expect(loadAverage).toHaveLength(3)
    expect(gpus).toBeInstanceOf(Array)
  })

  it('has null for what cannot be read, and the rest', async () => {
    const none = await createNodeReader({ directory: '/nowhere', sensors: broken })()
    expect(none).toEqual({
      cpu: null,
      loadAverage: expect.any(Array),
      memory: null,
      disk: null,
      gpus: null,
    })
    const some = await createNodeReader({
      directory: '/nowhere',
      sensors: sensorsWith({ mem: async () => ({ total: 10, available: 4 }) }),
    })()
    expect(some.memory).toEqual({ totalBytes: 10, availableBytes: 4, usedBytes: 6 })
    expect(some.cpu).toBeNull()
  })

  it('tells of a graphics card what its driver tells', async () => {
    const told = { memoryTotal: 8_192, memoryUsed: 1_024, utilizationGpu: 50, temperatureGpu: 61 }
    const controllers = [{ ...card, ...told, name: 'RTX' }, card]
    const sensors = sensorsWith({ graphics: async () => ({ controllers, displays: [] }) })
    const { gpus } = await createNodeReader({ directory: '.', sensors })()
    const common = { vendor: 'NVIDIA', memoryTotalBytes: 8_589_934_592 }
    expect(gpus).toEqual([
      { ...common, name: 'RTX', load: 0.5, memoryUsedBytes: 1_073_741_824, temperatureCelsius: 61 },
      { ...common, name: 'GA104', load: null, memoryUsedBytes: null, temperatureCelsius: null },
    ])
  })

  it('is shared by all who ask at once', async () => {
    let asked = 0
    const sensors = sensorsWith({
      mem: async () => {
        asked += 1
        return { total: 10, available: 4 }
      },
    })
    const read = createNodeReader({ directory: '.', sensors })
    await Promise.all([read(), read(), read()])
    expect(asked).toBe(1)
  })
})
