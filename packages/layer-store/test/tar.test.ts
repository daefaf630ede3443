/** That a layer gives back the very bytes that were registered, or says why it cannot. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type ChainId, digestHex } from '@graphdriver/core'
import { findCommand } from '@graphdriver/sys'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'

/** Makes a tree with one of everything that a tar can hold. */
function everything(directory: string): void {
  const at = (name: string): string => path.join(directory, name)
  mkdirSync(at('dir/empty'), { recursive: true })
  writeFileSync(at('dir/file'), 'content')
  writeFileSync(at('empty'), '')
  writeFileSync(at('block'), Buffer.alloc(512, 'b'))
  writeFileSync(at('big'), Buffer.alloc(300_001, 'big'))
  linkSync(at('dir/file'), at('hard'))
  symlinkSync('dir/file', at('soft'))
  symlinkSync('/'.padEnd(180, 'x'), at('soft-long'))
  chmodSync(at('block'), 0o4755)
  mkdirSync(at(`${'long/'.repeat(60)}`), { recursive: true })
  writeFileSync(at(`${'long/'.repeat(60)}${'name'.repeat(30)}`), 'deep')
  writeFileSync(at('ünïcode ☃'), 'snow')
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/raw-`), Buffer.from([0xff, 0xfe])]), 'not utf-8')
  const sparse = openSync(at('sparse'), 'w')
  writeSync(sparse, 'start', 0)
  writeSync(sparse, 'middle', 5_000_000)
  ftruncateSync(sparse, 10_000_000)
  closeSync(sparse)
  execFileSync('mkfifo', [at('fifo')])
}

const makers: readonly (readonly [title: string, command: string, args: readonly string[]])[] = [
  ['GNU tar, gnu format', 'tar', ['--format=gnu']],
  ['GNU tar, gnu format with sparse files', 'tar', ['--format=gnu', '--sparse']],
  ['GNU tar, pax format', 'tar', ['--format=pax']],
  ['GNU tar, pax format with sparse files 1.0', 'tar', ['--format=pax', '--sparse']],
  ['GNU tar, pax format with sparse files 0.1', 'tar', ['--format=pax', '--sparse', '--sparse-version=0.1']],
  ['GNU tar, pax format with sparse files 0.0', 'tar', ['--format=pax', '--sparse', '--sparse-version=0.0']],
  ['GNU tar, oldgnu format', 'tar', ['--format=oldgnu']],
  ['GNU tar, names with ./', 'tar', ['--format=gnu', '--transform=s,^,./,']],
  ['bsdtar, pax format', 'bsdtar', ['--format=pax']],
  ['bsdtar, gnutar format', 'bsdtar', ['--format=gnutar']],
]

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`tars of layers on ${name}${reason}`, () => {
    let root: DataRoot
    let tree: string

    beforeAll(() => {
      tree = mkdtempSync(path.join(tmpdir(), 'gd-tree-'))
      everything(tree)
    })

    afterAll(() => {
      rmSync(tree, { recursive: true, force: true })
    })

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    for (const [maker, command, args] of makers) {
      const absent = findCommand(command) === undefined
      const suffix = absent ? ` (skipped: ${command} is not installed)` : ''
      it.skipIf(absent)(`come back byte for byte from ${maker}${suffix}`, async () => {
        const bytes = execFileSync(command, [...args, '-C', tree, '-cf', '-', '.'], { maxBuffer: 2 ** 27 })
        const store = await root.store()
        await using layer = await store.register(stream(bytes, 64 * 1024 + 1), undefined)
        expect(layer.diffId).toBe(diffIdOf(bytes))
        expect((await bytesOf(layer.tar())).equals(bytes)).toBe(true)
      })
    }

    it('come back although a child changed the files, and files were added behind the back', async () => {
      const first = tar({ name: 'foo', content: 'abc' }, { name: 'bar', content: 'def', mode: 0o600 })
      const second = tar({ name: 'bar', content: 'def', mode: 0o644 }, { name: 'foo', content: 'changed' })
      const store = await root.store()
      const l1 = await store.register(stream(first), undefined)
      const l2 = await store.register(stream(second), l1.chainId)
      {
        await using files = await (store.driver.ownFiles?.(l1.cacheId) ?? store.driver.get(l1.cacheId))
        writeFileSync(path.join(files.path, 'foreign'), 'foreign')
      }
      expect(await bytesOf(l1.tar())).toEqual(first)
      expect(await bytesOf(l2.tar())).toEqual(second)
      await l2.release()
      await using again = await store.get(l1.chainId)
      expect(await bytesOf(again.tar())).toEqual(first)
    })

    it('name the file that was changed in the store', async () => {
      const store = await root.store()
      await using layer = await store.register(
        stream(tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' }, { name: 'z', content: 'z' })),
        undefined,
      )
      {
        await using files = await (store.driver.ownFiles?.(layer.cacheId) ?? store.driver.get(layer.cacheId))
        writeFileSync(path.join(files.path, 'etc/motd'), 'Hi\n')
      }
      await expect(bytesOf(layer.tar())).rejects.toMatchObject({
        code: 'GD_LAYER_CORRUPT',
        message: expect.stringContaining(layer.chainId),
        details: { id: layer.chainId, path: 'etc/motd' },
      })
    })

    it.each<readonly [string, (file: string) => void]>([
      ['removed', (file) => rmSync(file)],
      ['cut short', (file) => writeFileSync(file, 'h')],
      ['made longer', (file) => writeFileSync(file, 'hi\nthere\n')],
      [
        'replaced by a directory',
        (file) => {
          rmSync(file)
          mkdirSync(file)
        },
      ],
      [
        'replaced by a link out of the layer',
        (file) => {
          const outside = `${file}-outside`
          renameSync(file, outside)
          symlinkSync(outside, file)
        },
      ],
    ])('name a file that was %s', async (_, damage) => {
      const store = await root.store()
      await using layer = await store.register(stream(tar({ name: 'motd', content: 'hi\n' })), undefined)
      {
        await using files = await (store.driver.ownFiles?.(layer.cacheId) ?? store.driver.get(layer.cacheId))
        damage(path.join(files.path, 'motd'))
      }
      await expect(bytesOf(layer.tar())).rejects.toMatchObject({
        code: 'GD_LAYER_CORRUPT',
        details: { id: layer.chainId, path: expect.stringContaining('motd') },
      })
    })

    it('are verified against the DiffID at the end, whatever the recipe says', async () => {
      const store = await root.store()
      await using one = await store.register(stream(tar({ name: 'one', content: '' })), undefined)
      await using two = await store.register(stream(tar({ name: 'two', content: '' })), undefined)
      copyFileSync(recipe(root, one.chainId), recipe(root, two.chainId))
      await expect(bytesOf(two.tar())).rejects.toMatchObject({ code: 'GD_LAYER_CORRUPT' })
    })

    it('are not given from a recipe that is damaged', async () => {
      const store = await root.store()
      await using layer = await store.register(stream(tar({ name: 'one', content: 'one' })), undefined)
      const file = recipe(root, layer.chainId)
      const whole = readFileSync(file)
      for (const damaged of [
        whole.subarray(0, -20),
        Buffer.from('no gzip'),
        gzipSync('{}\n'),
        Buffer.alloc(0),
      ]) {
        writeFileSync(file, damaged)
        await expect(bytesOf(layer.tar())).rejects.toMatchObject({ code: 'GD_LAYER_CORRUPT' })
      }
      writeFileSync(file, whole)
      expect((await bytesOf(layer.tar())).length).toBe(2048)
    })

    it('are described by lines such as Docker writes', async () => {
      const store = await root.store()
      await using layer = await store.register(
        stream(tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })),
        undefined,
      )
      const lines = gunzipSync(readFileSync(recipe(root, layer.chainId)))
        .toString()
        .trimEnd()
        .split('\n')
      expect(lines[1]).toBe('{"type":1,"name":"etc/","payload":null,"position":1}')
      expect(lines[3]).toBe('{"type":1,"name":"etc/motd","size":3,"payload":"YUmYEAAAAAA=","position":3}')
    })

    it('with one path twice are refused, as by Docker', async () => {
      const store = await root.store()
      for (const other of ['motd', './motd', '/motd']) {
        const twice = tar({ name: 'motd', content: 'a' }, { name: other, content: 'b' })
        await expect(store.register(stream(twice), undefined)).rejects.toMatchObject({
          code: 'GD_ARCHIVE_INVALID',
        })
      }
      expect(await layerIds(store.driver)).toEqual([])
      expect(root.leftovers()).toEqual([])
    })

    it('release what they hold when they are left early', async () => {
      const store = await root.store()
      await using layer = await store.register(
        stream(tar({ name: 'big', content: Buffer.alloc(3e6) })),
        undefined,
      )
      for await (const chunk of layer.tar()) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      expect(await layer.release()).toHaveLength(1)
    })

    it('stop with the reason when aborted', async () => {
      const store = await root.store()
      await using layer = await store.register(
        stream(tar({ name: 'big', content: Buffer.alloc(3e6) })),
        undefined,
      )
      const controller = new AbortController()
      const reason = new Error('enough')
      await expect(
        (async () => {
          for await (const _ of layer.tar({ signal: controller.signal })) controller.abort(reason)
        })(),
      ).rejects.toBe(reason)
    })
  })
}

function recipe(root: DataRoot, chainId: ChainId): string {
  return path.join(root.layerdb, 'sha256', digestHex(chainId), 'tar-split.json.gz')
}
