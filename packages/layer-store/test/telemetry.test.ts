/** What a store tells of what it does: on the channel, and as metrics of the real OpenTelemetry SDK. */
import { meterOperations, type Operation, operationChannel } from '@graphdriver/core'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import vfs from '@graphdriver/vfs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DataRoot } from './data-root.ts'
import { stream, tar } from './tar-file.ts'

const layer = tar({ name: 'file', content: 'content' })

describe.skipIf(process.platform !== 'linux')('telemetry', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot(vfs)
  })
  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  /** A life of a layer and a container; what fails is part of it. */
  async function live(): Promise<void> {
    const store = await root.store()
    const image = await store.register(stream(layer), undefined)
    const box = await store.createRWLayer('box', image.chainId)
    await using _ = await box.mount()
    await (await box.commit()).release()
    await store.createRWLayer('box', image.chainId).catch(() => undefined)
    await box.release()
    await image.release()
  }

  it('the channel hears of each operation, with what it is about', async () => {
    const heard: string[] = []
    const say = (when: string, { operation, driver, subject }: Operation): void => {
      heard.push([when, operation, driver, subject?.slice(0, 6) ?? ''].join(' '))
    }
    const onStart = (message: unknown): void => say('start', message as Operation)
    const onError = (message: unknown): void => say('error', message as Operation)
    operationChannel.start.subscribe(onStart)
    operationChannel.error.subscribe(onError)
    await live()
    operationChannel.start.unsubscribe(onStart)
    operationChannel.error.unsubscribe(onError)
    expect(heard).toEqual([
      'start register vfs ',
      'start create vfs box',
      'start mount vfs box',
      'start commit vfs box',
      'start release vfs sha256',
      'start create vfs box',
      'error create vfs box',
      'start release vfs box',
      'start release vfs sha256',
    ])
    const before = heard.length
    await live()
    expect(heard.length).toBe(before)
  })

  it('OpenTelemetry gets durations and what is under way', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 })
    const provider = new MeterProvider({ readers: [reader] })
    {
      using _ = meterOperations(provider.getMeter('test'))
      await live()
    }
    await live()
    await reader.forceFlush()
    const metrics = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    const counts = metrics
      .filter(({ descriptor }) => descriptor.name === 'graphdriver.operation.duration')
      .flatMap(
        ({ dataPoints }) => dataPoints as { attributes: object; value: { count: number; sum: number } }[],
      )
    const of = (operation: string, error?: string): object => ({
      'graphdriver.operation': operation,
      'graphdriver.driver': 'vfs',
      ...(error === undefined ? {} : { 'error.type': error }),
    })
    expect(counts.map(({ attributes, value }) => [attributes, value.count])).toEqual([
      [of('register'), 1],
      [of('create'), 1],
      [of('mount'), 1],
      [of('commit'), 1],
      [of('release'), 3],
      [of('create', 'GD_NAME_CONFLICT'), 1],
    ])
    expect(counts.every(({ value }) => value.sum > 0 && value.sum < 60)).toBe(true)
    const active = metrics.filter(({ descriptor }) => descriptor.name === 'graphdriver.operation.active')
    expect(active.flatMap(({ dataPoints }) => dataPoints.map(({ value }) => value))).toEqual([0, 0, 0, 0, 0])
    await provider.shutdown()
  })
})
