// @ts-check
import { mkdirSync } from 'node:fs'
import { defineDriver, driverApiVersion, GraphDriverError, rejectUnknownOptions } from '@graphdriver/core'
import { FuseDriver } from './driver.js'
import { probe } from './probe.js'

export default defineDriver({
  name: 'fuse-example',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'layers stacked by fuse-overlayfs, an overlay in user space',
  parse(options) {
    rejectUnknownOptions('fuse-example', options, [])
    return {}
  },
  probe,
  async open(host) {
    const answer = await probe(host)
    if (!answer.supported) {
      const { code: reason, hint } = answer
      const message = `fuse-example cannot serve ${host.home}: ${answer.reason}; ${hint}`
      throw new GraphDriverError('GD_DRIVER_UNSUPPORTED', message, { driver: 'fuse-example', reason, hint })
    }
    mkdirSync(host.home, { recursive: true, mode: 0o710 })
    const driver = new FuseDriver(host.home)
    await driver.recover()
    return driver
  },
})
