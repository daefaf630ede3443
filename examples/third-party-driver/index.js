// @ts-check
import { mkdirSync } from 'node:fs'
import { defineDriver, driverApiVersion, GraphDriverError, rejectUnknownOptions } from '@graphdriver/core'
import { CopyDriver } from './driver.js'
import { probe } from './probe.js'

export default defineDriver({
  name: 'copy-example',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'a copy per layer, made by cp, which shares the data where the filesystem can',
  parse(options) {
    rejectUnknownOptions('copy-example', options, [])
    return {}
  },
  probe,
  async open(host) {
    const answer = await probe(host)
    if (!answer.supported) {
      const { code: reason, hint } = answer
      const message = `copy-example cannot serve ${host.home}: ${answer.reason}; ${hint}`
      throw new GraphDriverError('GD_DRIVER_UNSUPPORTED', message, { driver: 'copy-example', reason, hint })
    }
    mkdirSync(host.home, { recursive: true, mode: 0o710 })
    const driver = new CopyDriver(host.home)
    await driver.recover()
    return driver
  },
})
