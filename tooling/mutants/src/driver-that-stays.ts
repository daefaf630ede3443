/** The reference driver with a timer that nobody stops: a process that uses it does not end. */
import type { DriverDefinition } from '@graphdriver/core'
import reference from './reference.ts'

const definition: DriverDefinition = {
  ...reference,
  async open(host) {
    const driver = await reference.open(host)
    setInterval(() => undefined, 60_000)
    return driver
  },
}

export default definition
