import type { Driver } from '@graphdriver/core'

/** The driver with some of its members replaced. */
export function wrapped(driver: Driver, members: Partial<Driver>): Driver {
  const replaced = new Map<string | symbol, unknown>(Object.entries(members))
  return new Proxy(driver, {
    get(target, name) {
      if (replaced.has(name)) return replaced.get(name)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
