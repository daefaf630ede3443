/**
 * What a store is doing, for whoever listens: a tracing channel of node:diagnostics_channel, and the same as metrics of OpenTelemetry.
 * Nobody listening costs a look at a field.
 */
import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import { isGraphDriverError } from './error.ts'

/** What is published of an operation when it starts, and again when it ends, with `result` or `error`. */
export interface Operation {
  /** What is done: `register`, `mount`, …; names are for ever. */
  readonly operation:
    | 'register'
    | 'register-stack'
    | 'create'
    | 'mount'
    | 'commit'
    | 'apply'
    | 'release'
    | 'collect'
    | 'repair'
    | 'load'
    | 'push'
  /** By which driver. */
  readonly driver: string
  /** To what: a ChainID, the name of a writable layer, an image in a registry, a file; `undefined` for what is not known yet, or is many. */
  readonly subject: string | undefined
}

export const operationChannelName = 'graphdriver:operation'

/** Publishes `start`, `end`, `asyncStart`, `asyncEnd` and `error` (`tracing:graphdriver:operation:…`). */
export const operationChannel: TracingChannel<Operation, Operation> = tracingChannel<Operation, Operation>(
  operationChannelName,
)

/** Does it, and tells whoever listens. */
export function traced<T>(operation: Operation, action: () => Promise<T>): Promise<T> {
  // A copy of it: the channel writes the result into what it is given.
  return operationChannel.hasSubscribers ? operationChannel.tracePromise(action, { ...operation }) : action()
}

/** What is needed of a Meter of `@opentelemetry/api`, which is no dependency of ours. */
export interface MetricMeter {
  createHistogram(
    name: string,
    options: { readonly description: string; readonly unit: string },
  ): MetricHistogram
  createUpDownCounter(
    name: string,
    options: { readonly description: string; readonly unit: string },
  ): MetricCounter
}

export interface MetricHistogram {
  record(value: number, attributes: Readonly<Record<string, string>>): void
}

export interface MetricCounter {
  add(value: number, attributes: Readonly<Record<string, string>>): void
}

/**
 * Measures all operations of this process until what is returned is disposed.
 *
 * - `graphdriver.operation.duration`, seconds, a histogram, with `graphdriver.operation`, `graphdriver.driver` and, of what failed,
 *   `error.type`: the error's code, or its name
 * - `graphdriver.operation.active`, how many are under way
 */
export function meterOperations(meter: MetricMeter): Disposable {
  const durations = meter.createHistogram('graphdriver.operation.duration', {
    description: 'How long operations of stores take',
    unit: 's',
  })
  const active = meter.createUpDownCounter('graphdriver.operation.active', {
    description: 'Operations of stores under way',
    unit: '{operation}',
  })
  const started = new WeakMap<object, number>()
  const onStart = (message: unknown): void => {
    const operation = message as Operation
    started.set(operation, performance.now())
    active.add(1, attributesOf(operation))
  }
  const onEnd = (message: unknown): void => {
    const operation = message as Operation & { readonly error?: unknown }
    const start = started.get(operation)
    // It began before anybody listened.
    if (start === undefined) return
    started.delete(operation)
    const attributes = attributesOf(operation)
    active.add(-1, attributes)
    const failed = 'error' in operation ? { 'error.type': errorType(operation.error) } : {}
    durations.record((performance.now() - start) / 1000, { ...attributes, ...failed })
  }
  operationChannel.start.subscribe(onStart)
  operationChannel.asyncEnd.subscribe(onEnd)
  return {
    [Symbol.dispose]() {
      operationChannel.start.unsubscribe(onStart)
      operationChannel.asyncEnd.unsubscribe(onEnd)
    },
  }
}

function attributesOf({ operation, driver }: Operation): Readonly<Record<string, string>> {
  return { 'graphdriver.operation': operation, 'graphdriver.driver': driver }
}

function errorType(error: unknown): string {
  if (isGraphDriverError(error)) return error.code
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.name
  return 'unknown'
}
