import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, openSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { attachLoop, run } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'

export const leaksMutants: readonly Mutant[] = [
  {
    does: 'keeps the directory open that it has mounted',
    caughtBy: ['leaks/descriptors', 'leaks/descriptors-of-calls'],
    breaks: (intact) => ({
      async get(id, options) {
        const mount = await intact.get(id, options)
        openSync(mount.path, 'r')
        return mount
      },
    }),
  },
  {
    does: 'keeps a record of each layer that there was',
    caughtBy: ['leaks/home-as-before'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        writeFileSync(path.join(intact.home, `record-of-${id}`), '')
      },
    }),
  },
  {
    does: 'leaves the directory of a layer that was refused',
    caughtBy: ['leaks/failed-creates'],
    breaks: (intact) => ({
      async create(id, options) {
        try {
          await intact.create(id, options)
        } catch (error) {
          mkdirSync(path.join(intact.home, `layers/.refused-${randomUUID()}`))
          throw error
        }
      },
    }),
  },
  {
    does: 'leaves its journal when a tar is refused',
    caughtBy: ['leaks/failed-apply'],
    breaks: (intact) => ({
      async applyDiff(id, parent, tar, options) {
        try {
          return await intact.applyDiff(id, parent, tar, options)
        } catch (error) {
          writeFileSync(path.join(intact.home, `journal-of-${id}`), '')
          throw error
        }
      },
    }),
  },
  {
    does: 'leaves a list of the changes that it has found in its home',
    caughtBy: ['leaks/looking-leaves-nothing', 'leaks/home-as-before'],
    breaks: (intact) => ({
      async changes(id, parent, options) {
        const changes = await intact.changes(id, parent, options)
        writeFileSync(path.join(intact.home, `changes-of-${id}`), JSON.stringify(changes))
        return changes
      },
    }),
  },
  {
    does: 'leaves a copy of each diff in the temporary directory',
    caughtBy: ['leaks/temporary-directory'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        for await (const chunk of intact.diff(id, parent, options)) {
          writeFileSync(path.join(tmpdir(), `diff-of-${id}`), chunk, { flag: 'a' })
          yield chunk
        }
      },
    }),
  },
  {
    does: 'leaves a process running that helped to make a layer',
    caughtBy: ['leaks/child-processes'],
    breaks(intact) {
      const helpers: ChildProcess[] = []
      return {
        async create(id, options) {
          await intact.create(id, options)
          const helper = spawn('sleep', ['3600'], { stdio: 'ignore' })
          helper.unref()
          helpers.push(helper)
        },
        async cleanup() {
          for (const helper of helpers) helper.kill('SIGKILL')
          await intact.cleanup()
        },
        async [Symbol.asyncDispose]() {
          for (const helper of helpers) helper.kill('SIGKILL')
          await intact.cleanup()
        },
      }
    },
  },
  {
    does: 'leaves a loop device attached until it is closed',
    caughtBy: ['leaks/loop-devices'],
    breaks(intact) {
      const devices: string[] = []
      return {
        async createReadWrite(id, options) {
          await intact.createReadWrite(id, options)
          const image = path.join(intact.home, `image-of-${id}`)
          writeFileSync(image, '')
          truncateSync(image, 1 << 20)
          using device = attachLoop(image)
          devices.push(device.path)
        },
        async [Symbol.asyncDispose]() {
          for (const device of devices) await run('losetup', ['--detach', device])
          await intact.cleanup()
        },
      }
    },
  },
  {
    does: 'looks at the signal when it has mounted',
    caughtBy: ['leaks/failed-get'],
    breaks: (intact) => ({
      async get(id, { signal } = {}) {
        const mount = await intact.get(id)
        signal?.throwIfAborted()
        return mount
      },
    }),
  },
  {
    does: 'keeps what was removed',
    caughtBy: ['leaks/space-comes-back', 'leaks/home-as-before'],
    breaks: (intact) => ({
      async remove(id) {
        await intact.put(id)
        const directory = path.dirname(intact.treeOf(id))
        if (existsSync(directory)) renameSync(directory, path.join(intact.home, `removed-${randomUUID()}`))
      },
    }),
  },
  {
    does: 'does not unmount the layer of a diff that is left early',
    caughtBy: ['leaks/abandoned-diffs'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        const mount = await intact.get(id)
        yield* intact.diff(id, parent, options)
        await mount[Symbol.asyncDispose]()
      },
    }),
  },
  {
    does: 'sets the locale of the whole process',
    caughtBy: ['leaks/process-state'],
    breaks(intact) {
      const before = process.env['LC_ALL']
      return {
        async create(id, options) {
          process.env['LC_ALL'] = `C.of-${id}`
          await intact.create(id, options)
        },
        async [Symbol.asyncDispose]() {
          if (before === undefined) delete process.env['LC_ALL']
          else process.env['LC_ALL'] = before
          await intact.cleanup()
        },
      }
    },
  },
  {
    does: 'leaves its threads running when it is closed',
    caughtBy: ['leaks/threads'],
    breaks: () => ({ cleanup: () => Promise.resolve() }),
  },
]
