/** What loading and pushing tell whoever listens. */
import { type Operation, operationChannel } from '@graphdriver/core'
import { describe, expect, it } from 'vitest'
import { loadImages, openImageSource, pushImage } from '../src/index.ts'
import { DataRoot } from './data-root.ts'
import { dockerArchive } from './docker-archive-file.ts'
import { sampleImage } from './sample-image.ts'

describe.skipIf(process.platform !== 'linux')('telemetry of images', () => {
  it('a load is told of around its layers, and a push that fails with its error', async () => {
    await using root = new DataRoot()
    const stores = await root.stores()
    const image = sampleImage()
    await using source = await openImageSource(root.write('a.tar', dockerArchive(image)))
    const heard: string[] = []
    const listener = (when: string) => (message: unknown) => {
      const { operation, driver, subject } = message as Operation
      if (operation !== 'release') heard.push([when, operation, driver, subject ?? ''].join(' '))
    }
    const nothing = (): void => undefined
    const listeners = {
      start: listener('start'),
      end: nothing,
      asyncStart: nothing,
      asyncEnd: listener('end'),
      error: listener('error'),
    }
    operationChannel.subscribe(listeners)
    await loadImages(source, stores)
    const name = '127.0.0.1:1/sample:latest'
    const retry = { times: 0 }
    await expect(pushImage(stores, image.id, name, { plainHttp: true, retry })).rejects.toThrow(
      expect.objectContaining({ code: 'GD_REGISTRY_FAILED' }),
    )
    operationChannel.unsubscribe(listeners)
    expect(heard).toEqual([
      `start load vfs ${source.path}`,
      'start register-stack vfs ',
      'end register-stack vfs ',
      `end load vfs ${source.path}`,
      `start push vfs ${name}`,
      `error push vfs ${name}`,
      `end push vfs ${name}`,
    ])
  })
})
