/** A driver as a plugin's client sees it, as a driver of its own: what the suite examines. */
import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { defineDriver, type Driver, type DriverDefinition, type DriverOptions } from '@graphdriver/core'
import { openPlugin, servePlugin } from '../dist/index.js'

export function throughPlugin(inner: DriverDefinition): DriverDefinition<DriverOptions> {
  return defineDriver<DriverOptions>({
    name: inner.name,
    apiVersion: inner.apiVersion,
    platforms: inner.platforms,
    summary: `${inner.summary}, through a plugin`,
    parse(options) {
      inner.parse(options)
      return options
    },
    probe: (host) => inner.probe({ ...host, options: inner.parse(host.options) }),
    async open({ home, options }): Promise<Driver> {
      // Not among temporary files, where the suite looks for what drivers leave.
      const directory = await mkdtemp('/run/plugin-')
      const socket = path.join(directory, 'socket')
      const plugin = await servePlugin({ definition: inner, socket })
      const end = async (): Promise<void> => {
        await plugin[Symbol.asyncDispose]()
        await rm(directory, { recursive: true, force: true })
      }
      try {
        const said = Object.entries(options).map((option) => option.join('='))
        const driver = await openPlugin({ socket, home, options: said })
        const close = driver[Symbol.asyncDispose].bind(driver)
        return Object.assign(driver, {
          async [Symbol.asyncDispose]() {
            await close()
            await end()
          },
        })
      } catch (error) {
        await end()
        throw error
      }
    },
  })
}
