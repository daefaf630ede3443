/** overlay2 without its own way to find differences: trees are walked, as for a driver that has none. */
import { naiveDiff, TreeWorkers } from '@graphdriver/archive'
import type { Driver } from '@graphdriver/core'
import overlay2 from '@graphdriver/overlay2'

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

const definition: typeof overlay2 = {
  ...overlay2,
  open: async (host) => naive(await overlay2.open(host)),
}

export default definition
