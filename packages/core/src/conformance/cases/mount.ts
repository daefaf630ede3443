/** A layer made visible: who holds it, and whether what is seen there behaves as a filesystem does. */
import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createConnection, createServer } from 'node:net'
import path from 'node:path'
import type { LayerId } from '../../id.ts'
import { casesOf, type CaseBody, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { command } from '../host/command.ts'
import { mountsBelow } from '../host/mount-table.ts'
import { findCommand } from '../host/requirement.ts'
import { CannotRun } from '../lab.ts'
import {
  append,
  attributes,
  directory,
  fifo,
  file,
  link,
  type Recipe,
  remove,
  rename,
  symlink,
} from '../recipe/step.ts'
import { anyOwner, nanosecondTimes, unixFiles, unixModes } from './needs.ts'

/** A layer that has all of this from its parent, and nothing of its own. */
async function childOf(context: CaseContext, ...recipe: Recipe): Promise<LayerId> {
  const [, child] = await context.stack('l', recipe, [])
  assert(child !== undefined)
  return child
}

function text(...parts: readonly string[]): string {
  return readFileSync(path.join(...parts), 'utf8')
}

/** An open file, closed at the end of the block. */
function opened(name: string, flags: string): Disposable & { readonly fd: number } {
  const fd = openSync(name, flags)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

/** From its first byte on, wherever it was read to. */
function textOf(name: string, fd: number): string {
  assert(fstatSync(fd).isFile(), name)
  return readFileSync(`/proc/self/fd/${fd}`, 'utf8')
}

/** A program of the system that may wait for what never comes: it is ended then, with all that it started. */
function bounded(cwd: string, ...program: readonly string[]): Promise<string> {
  return command('timeout', ['10', ...program], { cwd })
}

/** Goes into a directory, removes it, and prints what getcwd(2) and open(2) say there. */
const orphaned = `
  const { rmdirSync, openSync } = require('node:fs')
  const attempt = (action) => {
    try {
      return String(action())
    } catch ({ code }) {
      return code
    }
  }
  process.chdir(process.argv[1])
  rmdirSync('../' + process.argv[1])
  console.log(attempt(() => process.cwd()), attempt(() => openSync('f', 'w')))
`

/** Sends a text through a socket to one that sends it back. */
async function echoed(address: string, said: string): Promise<string> {
  const client = createConnection(address)
  client.end(said)
  const heard = await Array.fromAsync(client, (chunk: unknown) => String(chunk))
  return heard.join('')
}

/** A tree, and every kind of write that it can take, in any order. */
const written: Recipe = [...['one', 'two', 'three', 'four', 'five'].map((name) => file(name)), directory('d')]
const writes: Readonly<Record<string, (root: string) => void>> = {
  'making a file': (root) => writeFileSync(`${root}/new`, ''),
  'writing to a file': (root) => appendFileSync(`${root}/one`, 'more'),
  'cutting a file': (root) => truncateSync(`${root}/two`, 1),
  'deleting a file': (root) => unlinkSync(`${root}/three`),
  'renaming a file': (root) => renameSync(`${root}/four`, `${root}/d/four`),
  'making a directory': (root) => mkdirSync(`${root}/d/new`),
  'making a link': (root) => symlinkSync('one', `${root}/d/link`),
  'changing a mode': (root) => chmodSync(`${root}/five`, 0o600),
  'changing a time': (root) => utimesSync(`${root}/d`, 1, 1),
}

/** What is done to files of a lower layer, and must be seen as on any filesystem. */
interface Alteration extends Omit<CaseBody, 'run'> {
  readonly before: Recipe
  readonly change: Recipe
}

function alteration({ before, change, ...body }: Alteration): CaseBody {
  return {
    ...body,
    async run(context) {
      const [base, child] = await context.stack('l', before, change)
      assert(child !== undefined)
      await context.shows(child, before, change)
      await context.shows(base, before)
    },
  }
}

/** Three levels of directories, and a file in the lowest. */
const levels: Recipe = [directory('a'), directory('a/b'), directory('a/b/c'), file('a/b/c/f')]

export const mount: readonly ConformanceCase[] = casesOf(
  'mount',
  {
    name: 'path-absolute',
    title: 'the path of a mount is absolute and is a directory',
    async run(context) {
      const child = await childOf(context, file('f'))
      for (const id of [context.id('l0'), child]) {
        const mounted = await context.mount(id)
        assert(path.isAbsolute(mounted.path), mounted.path)
        assert(lstatSync(mounted.path).isDirectory())
        assert.equal(mounted.id, id)
      }
    },
  },
  {
    name: 'path-shared',
    title: 'everybody who gets a layer gets the same path',
    async run(context) {
      const child = await childOf(context, file('f'))
      for (const id of [context.id('l0'), child]) {
        const [first, second] = [await context.mount(id), await context.mount(id)]
        assert.equal(second.path, first.path)
      }
    },
  },
  {
    name: 'path-kept',
    title: 'a layer that was unmounted is mounted at the same path again',
    seen: 'moby layer store StoreRestore',
    async run(context) {
      const { within } = context
      const child = await childOf(context, file('f'))
      for (const id of [context.id('l0'), child]) {
        const before = await within(id, (root) => root)
        assert.equal(await within(id, (root) => root), before)
      }
    },
  },
  {
    name: 'counted',
    title: 'a layer that two have got stays visible until both have put it',
    async run(context) {
      const child = await childOf(context, file('f'))
      const before = mountsBelow(context.root)
      const [first, second] = [await context.mount(child), await context.mount(child)]
      await first[Symbol.asyncDispose]()
      assert.equal(text(second.path, 'f'), 'f')
      await second[Symbol.asyncDispose]()
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'dispose-once',
    title: 'disposing a mount twice does not take another user’s reference',
    async run(context) {
      const child = await childOf(context, file('f'))
      const [first, second] = [await context.mount(child), await context.mount(child)]
      await first[Symbol.asyncDispose]()
      await first[Symbol.asyncDispose]()
      assert.equal(text(second.path, 'f'), 'f')
    },
  },
  {
    name: 'put-by-id',
    title: 'putting by id drops one reference, as disposing a mount does',
    async run(context) {
      const { driver } = context
      const child = await childOf(context, file('f'))
      const before = mountsBelow(context.root)
      const [first] = [await driver.get(child), await driver.get(child)]
      await driver.put(child)
      assert.equal(text(first.path, 'f'), 'f')
      await driver.put(child)
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'put-unknown',
    title: 'putting a layer that the driver does not hold is harmless',
    async run({ driver, id }) {
      await driver.put(id('never'))
      assert.equal(await driver.exists(id('never')), false)
      await driver.create(id('gone'))
      await driver.remove(id('gone'))
      await driver.put(id('gone'))
    },
  },
  {
    name: 'put-unmounted',
    title: 'a put too many does not count against those who get the layer later',
    async run(context) {
      const { driver } = context
      const child = await childOf(context, file('f'))
      await driver.put(child)
      await driver.put(child)
      const [first, second] = [await context.mount(child), await context.mount(child)]
      await first[Symbol.asyncDispose]()
      assert.equal(text(second.path, 'f'), 'f')
    },
  },
  {
    name: 'content-persists',
    title: 'what is written in a mount is there when the layer is mounted again',
    async run(context) {
      const { within } = context
      const child = await childOf(context, file('f'))
      await within(child, (root) => {
        mkdirSync(`${root}/d`)
        writeFileSync(`${root}/d/new`, 'written')
      })
      await within(child, (root) => {
        assert.equal(text(root, 'd/new'), 'written')
        assert.deepEqual(readdirSync(root).toSorted(), ['d', 'f'])
      })
    },
  },
  {
    name: 'container-writable',
    title: 'the mount of a layer made for a container is not read-only',
    async run(context) {
      const base = await context.layer('base', undefined, written)
      for (const parent of [undefined, base]) {
        const id = await context.writable(parent === undefined ? 'alone' : 'on-base', parent)
        const mounted = await context.mount(id)
        assert.equal(mounted.readonly, false)
        writeFileSync(`${mounted.path}/new`, 'written')
        assert.equal(text(mounted.path, 'new'), 'written')
      }
    },
  },
  {
    name: 'writable-takes-writes',
    title: 'a mount that does not say it is read-only takes every kind of write',
    async run(context) {
      for (const id of await context.stack('l', written, [], [])) {
        await using mounted = await context.driver.get(id)
        if (mounted.readonly) continue
        for (const [what, write] of Object.entries(writes)) {
          assert.doesNotThrow(() => write(mounted.path), `${what} in ${id}`)
        }
      }
    },
  },
  {
    name: 'readonly-refuses-writes',
    title:
      'a mount in the middle of a stack that says it is read-only refuses every kind of write with EROFS',
    seen: 'containerd ViewReadonly',
    async run(context) {
      const [, middle, top] = await context.stack('l', written, [file('own')], [])
      assert(middle !== undefined && top !== undefined)
      await context.within(middle, () => undefined)
      await using mounted = await context.driver.get(middle)
      if (!mounted.readonly) return
      for (const [what, write] of Object.entries(writes)) {
        assert.throws(() => write(mounted.path), { code: 'EROFS' }, what)
      }
      await context.shows(middle, written, [file('own')])
      await context.shows(top, written, [file('own')])
    },
  },
  {
    name: 'child-apart-from-parent',
    title: 'what is written in a layer that takes writes is not seen in the children it has',
    async run(context) {
      const layers = await context.stack('l', written, [], [])
      const top = layers.at(-1)
      assert(top !== undefined)
      for (const id of layers.slice(0, -1)) {
        await using mounted = await context.driver.get(id)
        if (!mounted.readonly) for (const write of Object.values(writes)) write(mounted.path)
      }
      await context.shows(top, written)
    },
  },
  {
    name: 'remove-mounted',
    title: 'a layer can be removed while it is mounted, and leaves no mount',
    async run(context) {
      const { driver } = context
      const child = await childOf(context, file('f'))
      const before = mountsBelow(context.root)
      await context.mount(child)
      await context.mount(child)
      await driver.remove(child)
      assert.equal(await driver.exists(child), false)
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'parent-and-child',
    title: 'a layer, its parent and its grandparent can be mounted at the same time',
    async run(context) {
      const layers = await context.stack('l', [file('f', '0')], [file('f', '1')], [file('f', '2')])
      for (const order of [layers, layers.toReversed()]) {
        const mounts = []
        for (const id of order) mounts.push(await context.mount(id))
        for (const { id, path: root } of mounts) assert.equal(`l${text(root, 'f')}`, id)
        for (const mounted of mounts) await mounted[Symbol.asyncDispose]()
      }
    },
  },
  {
    name: 'thirty-mounted',
    title: 'thirty layers can be mounted at once, each with its own content',
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const mounts = []
      for (let index = 0; index < 30; index++) {
        const id = await context.layer(`child${index}`, base, [file('own', String(index))])
        mounts.push(await context.mount(id))
      }
      for (const [index, { path: root }] of mounts.entries()) {
        assert.equal(text(root, 'own'), String(index))
        assert.equal(text(root, 'f'), 'f')
      }
    },
  },
  {
    name: 'working-directory-removed',
    title: 'a process whose working directory was removed from a mount is told ENOENT and nothing hangs',
    seen: 'a check that containerd names and does not have: getcwd after removal',
    requires: [{ command: 'timeout', package: 'coreutils' }],
    async run(context) {
      const child = await childOf(context, directory('lower'))
      await context.within(child, async (root) => {
        mkdirSync(`${root}/upper`)
        for (const name of ['lower', 'upper']) {
          const said = await bounded(root, process.execPath, '--eval', orphaned, name)
          assert.equal(said, 'ENOENT ENOENT\n', name)
          assert.equal(existsSync(`${root}/${name}`), false, name)
        }
      })
    },
  },
  {
    name: 'directory-inode',
    title: 'a directory of a lower layer keeps its inode number when something is made in it',
    seen: 'a check that containerd names and does not have: directory inode stability',
    async run(context) {
      const child = await childOf(context, directory('d'), directory('d/e'), file('d/f'))
      await context.within(child, async (root) => {
        const numbers = (): readonly bigint[] =>
          ['', 'd', 'd/e'].map((name) => lstatSync(path.join(root, name), { bigint: true }).ino)
        const before = numbers()
        await context.within(child, (same) => writeFileSync(`${same}/d/e/new`, ''))
        assert.deepEqual(numbers(), before)
        chmodSync(`${root}/d`, 0o700)
        assert.deepEqual(numbers(), before)
      })
    },
  },
  {
    name: 'open-file-inode',
    title: 'a file of a lower layer keeps its inode number, open or not, when it is first written to',
    seen: 'a check that containerd names and does not have: open-file inode stability',
    async run(context) {
      const child = await childOf(context, file('f', 'lower'))
      await context.within(child, async (root) => {
        const name = `${root}/f`
        using reader = opened(name, 'r')
        const before = lstatSync(name, { bigint: true }).ino
        assert.equal(fstatSync(reader.fd, { bigint: true }).ino, before)
        await context.within(child, (same) => {
          using writer = opened(`${same}/f`, 'r+')
          writeSync(writer.fd, 'upper')
          assert.equal(fstatSync(writer.fd, { bigint: true }).ino, before)
        })
        assert.equal(lstatSync(name, { bigint: true }).ino, before)
        assert.equal(fstatSync(reader.fd, { bigint: true }).ino, before)
      })
    },
  },
  {
    name: 'open-file-deleted',
    title: 'a file that was deleted stays readable and writable for whoever has it open',
    needs: unixFiles,
    async run(context) {
      const child = await childOf(context, file('lower', 'Some data'))
      await context.within(child, (root) => {
        writeFileSync(`${root}/upper`, 'Some data')
        for (const name of ['lower', 'upper']) {
          using both = opened(`${root}/${name}`, 'r+')
          unlinkSync(`${root}/${name}`)
          assert.equal(existsSync(`${root}/${name}`), false)
          writeSync(both.fd, 'More')
          assert.equal(textOf(name, both.fd), 'More data')
          assert.equal(fstatSync(both.fd).nlink, 0, name)
        }
      })
    },
  },
  {
    name: 'open-file-replaced',
    title: 'an open file of a lower layer keeps its content when another takes its name',
    needs: unixFiles,
    async run(context) {
      const child = await childOf(context, file('deleted', 'old'), file('renamed-over', 'old'))
      await context.within(child, (root) => {
        using deleted = opened(`${root}/deleted`, 'r')
        using over = opened(`${root}/renamed-over`, 'r')
        unlinkSync(`${root}/deleted`)
        writeFileSync(`${root}/deleted`, 'new')
        writeFileSync(`${root}/new`, 'new')
        renameSync(`${root}/new`, `${root}/renamed-over`)
        for (const [name, { fd }] of Object.entries({ deleted, 'renamed-over': over })) {
          assert.equal(textOf(name, fd), 'old', name)
          assert.equal(text(root, name), 'new', name)
        }
      })
    },
  },
  {
    name: 'unix-socket',
    title: 'a socket can be bound in a mount and connected to by its path',
    needs: unixFiles,
    seen: 'a check that containerd names and does not have: unix sockets',
    async run(context) {
      const child = await childOf(context, directory('run'))
      await context.within(child, async (root) => {
        // Through a descriptor: the address of a socket holds 107 bytes (unix(7)), and paths may be longer.
        using run = opened(`${root}/run`, 'r')
        const address = `/proc/self/fd/${run.fd}/s`
        const server = createServer((connection) => connection.pipe(connection))
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject)
          server.listen(address, resolve)
        })
        try {
          assert.equal(await echoed(address, 'there and back'), 'there and back')
          assert(lstatSync(`${root}/run/s`).isSocket())
        } finally {
          await new Promise<void>((resolve) => {
            server.close(() => resolve())
          })
        }
      })
    },
  },
  {
    name: 'fifo',
    title: 'a fifo of a lower layer passes bytes',
    requires: [
      { command: 'mkfifo', package: 'coreutils' },
      { command: 'timeout', package: 'coreutils' },
    ],
    async run(context) {
      const child = await childOf(context, fifo('pipe'))
      const passed = await context.within(child, async (root) => {
        assert(lstatSync(`${root}/pipe`).isFIFO())
        return bounded(root, 'sh', '-c', 'echo through > pipe & cat pipe')
      })
      assert.equal(passed, 'through\n')
    },
  },
  {
    name: 'script-runs',
    title: 'a script of a lower layer can be executed in the mount',
    needs: unixFiles,
    async run(context) {
      const child = await childOf(context, file('script', '#!/bin/sh\necho it runs\n', { mode: 0o755 }))
      assert.equal(await context.within(child, (root) => command(`${root}/script`, [])), 'it runs\n')
    },
  },
  {
    name: 'program-runs',
    title: 'a program that was copied into a layer can be executed there and in the layer’s child',
    async run(context) {
      const program = findCommand('echo')
      if (program === undefined) throw new CannotRun('needs echo (Debian package coreutils)', ['echo'])
      const base = await context.layer('base')
      const run = (root: string): Promise<string> => command(`${root}/echo`, ['it runs'])
      await context.within(base, async (root) => {
        copyFileSync(program, `${root}/echo`)
        chmodSync(`${root}/echo`, 0o755)
        assert.equal(await run(root), 'it runs\n')
      })
      const child = await context.layer('child', base)
      assert.equal(await context.within(child, run), 'it runs\n')
    },
  },
  alteration({
    name: 'chmod-lower-file',
    title: 'a file of a lower layer can be given another mode',
    seen: 'a check that containerd names and does not have: chmod',
    before: [...levels, file('set-id', 'x', { mode: 0o4755 })],
    change: [attributes('a/b/c/f', { mode: 0o4711 }), attributes('set-id', { mode: 0o600 })],
  }),
  alteration({
    name: 'chmod-lower-directory',
    title: 'a directory of a lower layer can be given another mode, and keeps what is in it',
    seen: 'a check that containerd names and does not have: chmod',
    before: levels,
    change: [attributes('a', { mode: 0o1777 }), attributes('a/b/c', { mode: 0o2700 })],
  }),
  alteration({
    name: 'chown-lower-file',
    title: 'a file of a lower layer can be given to somebody else and keeps its content',
    seen: 'moby#28391',
    needs: anyOwner,
    before: levels,
    change: [attributes('a/b/c/f', { uid: 1234, gid: 4321 })],
  }),
  alteration({
    name: 'chown-three-levels',
    title: 'directories at three levels of a lower layer can be given to different owners',
    seen: 'containerd Chown: moby#20240, moby#24913, moby#28391',
    needs: anyOwner,
    before: levels,
    change: [
      attributes('a', { uid: 1, gid: 11 }),
      attributes('a/b', { uid: 2, gid: 12 }),
      attributes('a/b/c', { uid: 3, gid: 13 }),
    ],
  }),
  alteration({
    name: 'append-lower-file',
    title: 'appending to a file of a lower layer keeps what was in it',
    before: [...levels, file('large', { bytes: 300_000, seed: 1 })],
    change: [append('a/b/c/f', ' and more'), append('large', { bytes: 5000, seed: 2 })],
  }),
  {
    name: 'truncate-lower-file',
    title: 'a file of a lower layer can be cut shorter and made longer',
    async run(context) {
      const content = 'abcdefghij'.repeat(1000)
      const names = ['shorter', 'longer', 'empty']
      const child = await childOf(context, ...names.map((name) => file(name, content)))
      await context.within(child, (root) => {
        truncateSync(`${root}/shorter`, 5005)
        truncateSync(`${root}/longer`, 12_000)
        truncateSync(`${root}/empty`, 0)
      })
      await context.within(child, (root) => {
        assert.equal(text(root, 'shorter'), content.slice(0, 5005))
        assert.equal(text(root, 'longer'), content + '\0'.repeat(2000))
        assert.equal(text(root, 'empty'), '')
      })
      await context.within(context.id('l0'), (root) => {
        for (const name of names) assert.equal(text(root, name), content, name)
      })
    },
  },
  alteration({
    name: 'rewrite-lower-file',
    title: 'rewriting a file of a lower layer gives exactly the new content',
    before: [file('same-size', 'aaaa'), file('shorter', 'long content'), file('longer', 'x')],
    change: [file('same-size', 'bbbb'), file('shorter', 'short'), file('longer', 'much longer')],
  }),
  alteration({
    name: 'rename-over-lower-file',
    title: 'a file can be renamed over a file of a lower layer',
    seen: 'containerd Rename',
    before: [directory('d'), file('d/lower', 'lower'), file('other', 'other')],
    change: [
      file('new', 'upper', { mtime: 1_200_000_000 }),
      rename('new', 'd/lower'),
      rename('other', 'd/moved'),
    ],
  }),
  {
    name: 'rename-lower-directory',
    title: 'a directory of a lower layer is renamed whole, or EXDEV is said and nothing is changed',
    seen: 'containerd Rename',
    async run(context) {
      const child = await childOf(context, ...levels)
      const tree = (root: string): readonly string[] =>
        readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()
      const expected = await context.within(child, (root) => {
        const before = tree(root)
        try {
          renameSync(`${root}/a`, `${root}/renamed`)
          return before.map((name) => name.replace(/^a/, 'renamed'))
        } catch (error) {
          assert.equal(
            context.driver.capabilities.copyUp,
            'file',
            `only copy-up may refuse: ${String(error)}`,
          )
          assert(error instanceof Error && 'code' in error)
          assert.equal(error.code, 'EXDEV')
          return before
        }
      })
      await context.within(child, (root) => {
        assert.deepEqual(tree(root), expected)
        assert.equal(text(root, expected.at(-1) ?? ''), 'a/b/c/f')
      })
    },
  },
  {
    name: 'rename-own-directory',
    title: 'a directory that was made in a mount can be renamed with all that is in it',
    async run(context) {
      const child = await childOf(context, directory('lower'))
      await context.within(child, (root) => {
        mkdirSync(`${root}/own/sub`, { recursive: true })
        writeFileSync(`${root}/own/sub/f`, 'Some data')
        renameSync(`${root}/own`, `${root}/lower/renamed`)
      })
      await context.within(child, (root) => {
        assert.deepEqual(readdirSync(root), ['lower'])
        assert.equal(text(root, 'lower/renamed/sub/f'), 'Some data')
      })
    },
  },
  alteration({
    name: 'move-by-link',
    title: 'a file of a lower layer can be moved to another directory by linking and unlinking',
    seen: 'containerd MoveFileFromLowerLayer',
    before: [directory('d'), file('d/f', 'Some data', { mode: 0o640 }), directory('e')],
    change: [link('e/f', 'd/f'), remove('d/f')],
  }),
  alteration({
    name: 'link-lower-file',
    title: 'a file of a lower layer can be given a second name, and both are one file',
    before: [directory('d'), file('d/f', 'Some data')],
    change: [link('second', 'd/f'), append('second', ' and more')],
  }),
  {
    name: 'deleted-lower-file',
    title: 'a deleted file of a lower layer is neither listed nor found',
    seen: 'containerd DeletedFilesInChildSnapshot',
    async run(context) {
      const child = await childOf(context, directory('d'), file('d/kept'), file('d/deleted'))
      await context.within(child, (root) => unlinkSync(`${root}/d/deleted`))
      const grandchild = await context.layer('l2', child)
      for (const id of [child, grandchild]) {
        await context.within(id, (root) => {
          assert.deepEqual(readdirSync(`${root}/d`), ['kept'], id)
          assert.throws(() => lstatSync(`${root}/d/deleted`), { code: 'ENOENT' }, id)
          assert.throws(() => openSync(`${root}/d/deleted`, 'r'), { code: 'ENOENT' }, id)
        })
      }
    },
  },
  {
    name: 'readdir-types',
    title: 'reading a directory tells the type of each entry, lower and upper',
    requires: [{ command: 'mkfifo', package: 'coreutils' }],
    async run(context) {
      const entries = (prefix: string): Recipe => [
        directory(`${prefix}directory`),
        file(`${prefix}file`),
        symlink(`${prefix}symlink`, `${prefix}file`),
        fifo(`${prefix}fifo`),
      ]
      const [, child] = await context.stack('l', entries('lower '), entries('upper '))
      assert(child !== undefined)
      await context.within(child, (root) => {
        const read = readdirSync(root, { withFileTypes: true })
        const of = (test: (entry: (typeof read)[number]) => boolean): readonly string[] =>
          read
            .filter((entry) => test(entry))
            .map(({ name }) => name)
            .toSorted()
        const both = (type: string): readonly string[] => [`lower ${type}`, `upper ${type}`]
        assert.equal(read.length, 8)
        assert.deepEqual(
          of((entry) => entry.isDirectory()),
          both('directory'),
        )
        assert.deepEqual(
          of((entry) => entry.isFile()),
          both('file'),
        )
        assert.deepEqual(
          of((entry) => entry.isSymbolicLink()),
          both('symlink'),
        )
        assert.deepEqual(
          of((entry) => entry.isFIFO()),
          both('fifo'),
        )
      })
    },
  },
  {
    name: 'half-of-two-thousand',
    title: 'a directory of two thousand lower files of which every second was deleted lists exactly the rest',
    async run(context) {
      const base = await context.layer('base', undefined, [directory('d')])
      const names = Array.from({ length: 2000 }, (_, index) => `file-${String(index).padStart(4, '0')}`)
      await context.within(base, (root) => {
        for (const name of names) writeFileSync(`${root}/d/${name}`, '')
      })
      const child = await context.layer('child', base)
      await context.within(child, (root) => {
        for (const [index, name] of names.entries()) if (index % 2 === 0) unlinkSync(`${root}/d/${name}`)
      })
      await context.within(child, (root) => {
        assert.deepEqual(
          readdirSync(`${root}/d`).toSorted(),
          names.filter((_, index) => index % 2 === 1),
        )
      })
    },
  },
  {
    name: 'synced',
    title: 'files and directories of a mount can be synced, and what was written is there',
    needs: unixFiles,
    async run(context) {
      const child = await childOf(context, directory('d'), file('d/lower', 'lower'))
      await context.within(child, (root) => {
        for (const [name, sync] of [
          ['lower', fsyncSync],
          ['new', fdatasyncSync],
        ] as const) {
          using writer = opened(`${root}/d/${name}`, 'w')
          writeSync(writer.fd, 'written')
          sync(writer.fd)
        }
        using d = opened(`${root}/d`, 'r')
        fsyncSync(d.fd)
      })
      await context.within(child, (root) => {
        for (const name of ['lower', 'new']) assert.equal(text(root, 'd', name), 'written', name)
      })
    },
  },
  {
    name: 'hard-links-on-write',
    title:
      'a write to one name of a lower file is seen under its other name exactly where nothing is copied up',
    async run(context) {
      const { copyUp } = context.driver.capabilities
      const child = await childOf(context, file('one', 'old'), link('two', 'one'))
      await context.within(child, (root) => {
        writeFileSync(`${root}/one`, 'new')
        const expected = copyUp === 'none' ? 'new' : 'old'
        assert.equal(text(root, 'two'), expected, `copyUp is ${copyUp}`)
      })
    },
  },
  {
    name: 'open-file-on-write',
    title:
      'what has a lower file open sees a write to it, or goes on seeing the old content where it is copied up',
    async run(context) {
      const { copyUp } = context.driver.capabilities
      const child = await childOf(context, file('f', 'old'))
      await context.within(child, async (root) => {
        using reader = opened(`${root}/f`, 'r')
        await context.within(child, (same) => writeFileSync(`${same}/f`, 'new'))
        const seen = readFileSync(reader.fd, 'utf8')
        if (seen !== 'new') assert.deepEqual([copyUp, seen], ['file', 'old'])
        assert.equal(text(root, 'f'), 'new')
      })
    },
  },
  {
    name: 'nanoseconds',
    title: 'a time set in a mount is kept to the nanosecond',
    needs: nanosecondTimes,
    requires: [{ command: 'touch', package: 'coreutils' }],
    async run(context) {
      const child = await childOf(context, directory('lower-d'), file('lower'))
      await context.within(child, async (root) => {
        mkdirSync(`${root}/upper-d`)
        writeFileSync(`${root}/upper`, '')
        const names = readdirSync(root)
        await command('touch', ['--date=@1234567890.123456789', ...names], { cwd: root })
      })
      await context.within(child, (root) => {
        for (const name of ['lower', 'lower-d', 'upper', 'upper-d']) {
          assert.equal(
            statSync(`${root}/${name}`, { bigint: true }).mtimeNs,
            1_234_567_890_123_456_789n,
            name,
          )
        }
      })
    },
  },
  {
    name: 'umask-of-writer',
    title: 'the mode of what is made in a mount is what its maker asks for, less the maker’s umask',
    needs: unixModes,
    async run(context) {
      const child = await childOf(context, directory('lower'))
      const modes = { '000': [0o666, 0o777], '027': [0o640, 0o750], '077': [0o600, 0o700] } as const
      await context.within(child, (root) => {
        const before = process.umask()
        try {
          for (const umask of Object.keys(modes)) {
            process.umask(umask)
            writeFileSync(`${root}/lower/f${umask}`, '', { mode: 0o666 })
            mkdirSync(`${root}/lower/d${umask}`, { mode: 0o777 })
          }
        } finally {
          process.umask(before)
        }
      })
      await context.within(child, (root) => {
        const modeOf = (name: string): number => lstatSync(`${root}/lower/${name}`).mode & 0o7777
        for (const [umask, expected] of Object.entries(modes)) {
          assert.deepEqual([modeOf(`f${umask}`), modeOf(`d${umask}`)], expected, umask)
        }
      })
    },
  },
  {
    name: 'directory-made-again',
    title: 'a directory of a lower layer that was emptied and removed can be made again and is empty',
    async run(context) {
      const child = await childOf(context, directory('d'), file('d/f'), directory('d/e'), file('d/e/g'))
      await context.within(child, (root) => {
        rmSync(`${root}/d`, { recursive: true })
        mkdirSync(`${root}/d`)
        assert.deepEqual(readdirSync(`${root}/d`), [])
      })
      await context.within(child, (root) => assert.deepEqual(readdirSync(`${root}/d`), []))
    },
  },
)
