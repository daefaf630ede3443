/** A driver without its own way to find differences: trees are walked, as for one that has none. */
import { naiveDiff, TreeWorkers } from '@graphdriver/archive'
import type { Driver, DriverDefinition } from '@graphdriver/core'

function naive(native: Driver): Driver {
  const workers = new TreeWorkers()
  const close = async (): Promise<void> => {
    await workers[Symbol.asyncDispose]()
    await native.cleanup()
  }
  const replaced: Partial<Driver> = {
    ...naiveDiff(native, workers),
    cleanup: close,
    [Symbol.asyncDispose]: close,
  }
  return new Proxy(native, {
    get(target, key): unknown {
      if (key in replaced) return Reflect.get(replaced, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export function walked<Options>(definition: DriverDefinition<Options>): DriverDefinition<Options> {
  return { ...definition, open: async (host) => naive(await definition.open(host)) }
}
