/** What went wrong elsewhere, one case for each way in which it did. */
import assert from 'node:assert/strict'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { Driver, TarStream } from '../../driver.ts'
import { type CaseBody, casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { command } from '../host/command.ts'
import { hold } from '../host/holder.ts'
import { namesBelow } from '../listing.ts'
import type { Requirement } from '../host/requirement.ts'
import { CannotRun } from '../lab.ts'
import {
  append,
  attributes,
  contentBytes,
  directory,
  fifo,
  file,
  link,
  type Recipe,
  remove,
  rename,
  socket,
  symlink,
  xattr,
} from '../recipe/step.ts'
import { inChunks, rawTar } from '../tar/raw-tar.ts'
import { collect, readTar } from '../tar/read-tar.ts'
import { anyOwner, attrCommands, netRawCapability, unixFiles, unixNames } from './needs.ts'
import { rebuild } from './rebuild.ts'

interface History extends Omit<CaseBody, 'run'> {
  readonly recipes: readonly Recipe[]
}

/** Layers that must come out the same whichever way they are made. */
const histories: readonly History[] = [
  {
    name: 'directory-recreated',
    title: 'a directory that one layer removes and a later one makes again has nothing of before',
    seen: 'docker#25244',
    recipes: [
      [directory('d'), file('d/a'), file('d/b'), directory('d/e'), file('d/e/f')],
      [remove('d')],
      [directory('d'), file('d/a', 'another')],
      [file('d/c'), directory('d/e')],
    ],
  },
  {
    name: 'owner-of-recreated-directory',
    title: 'a directory that was given away, removed and made again belongs to whom it was made for last',
    seen: 'docker#27298, containerd DirectoryPermissionOnCommit',
    needs: anyOwner,
    recipes: [
      [directory('d', { uid: 1, gid: 1, mode: 0o700 }), file('d/f', 'f', { uid: 1 })],
      [attributes('d', { uid: 2, gid: 3 }), attributes('d/f', { uid: 2 })],
      [remove('d'), directory('d', { gid: 4, mode: 0o2775 })],
      [attributes('d', { uid: 5, gid: 5, mode: 0o755 })],
    ],
  },
  {
    name: 'renamed-back',
    title: 'a file that is renamed in one layer and back in the next is the file that it was',
    seen: 'containerd Rename',
    recipes: [
      [directory('d'), directory('e'), file('d/a', 'content', { mode: 0o640 }), file('e/b')],
      [rename('d/a', 'e/a'), rename('e/b', 'd/b')],
      [rename('e/a', 'd/a'), rename('d/b', 'e/b')],
    ],
  },
  {
    name: 'renamed-into-its-place',
    title: 'two files that exchange names over two layers are not taken for unchanged',
    seen: 'containerd MoveFileFromLowerLayer',
    recipes: [
      [file('a', 'first', { mtime: 1_000 }), file('b', 'other', { mtime: 2_000 })],
      [rename('a', 'c'), rename('b', 'a')],
      [rename('c', 'b')],
    ],
  },
  {
    name: 'link-across-opaque-directory',
    title: 'a hard link made before its directory was replaced is linked with the new one’s file',
    seen: 'moby: hard link across an opaque directory',
    recipes: [
      [directory('d'), file('d/f', 'linked'), file('d/old')],
      [link('top', 'd/f'), remove('d'), directory('d'), link('d/again', 'top')],
      [file('d/new'), remove('top')],
    ],
  },
  {
    name: 'symlink-then-directory',
    title: 'a directory that takes the place of a symbolic link is not the link’s target',
    seen: 'CVE-2018-15664 and its kind: a tar applied through a symbolic link',
    recipes: [
      [directory('d'), file('d/f'), directory('target'), file('target/g')],
      [remove('d'), symlink('d', 'target')],
      [remove('d'), directory('d', { mode: 0o700 }), file('d/h'), file('d/g', 'own')],
    ],
  },
  {
    name: 'directory-then-symlink',
    title: 'a symbolic link in the place of a directory leaves what it leads to alone when it goes',
    seen: 'the same, backwards',
    recipes: [
      [directory('d'), file('d/f'), directory('target'), file('target/f'), file('target/g')],
      [remove('d'), symlink('d', 'target')],
      [remove('d')],
    ],
  },
  {
    name: 'file-then-directory',
    title: 'a file that becomes a directory and a file again hides what the directory had',
    seen: 'moby archive ChangesDirs: dir2 and file5',
    recipes: [
      [file('x'), directory('y'), file('y/f')],
      [remove('x'), directory('x'), file('x/f'), remove('y'), file('y')],
      [remove('x'), file('x', 'again'), remove('y'), directory('y'), file('y/g')],
    ],
  },
  {
    name: 'capabilities-committed',
    title: 'set-id bits and file capabilities survive a copy into an upper layer and a commit',
    seen: 'moby#42655, moby#43876',
    needs: ({ xattrs }) => (xattrs === 'none' ? 'attributes are not kept here' : undefined),
    requires: attrCommands,
    recipes: [
      [
        file('ping', 'program', { mode: 0o755 }),
        xattr('ping', 'security.capability', netRawCapability),
        file('sudo', 'program', { mode: 0o4755 }),
        file('wall', 'program', { mode: 0o2755 }),
      ],
      [
        directory('bin'),
        rename('ping', 'bin/ping'),
        link('bin/sudo', 'sudo'),
        attributes('wall', { mtime: 1_234_567 }),
      ],
      [link('bin/ping6', 'bin/ping')],
    ],
  },
  {
    name: 'future-time',
    title: 'times that are still to come are kept',
    seen: 'moby copy DirCopy: far-future times',
    recipes: [
      [file('f', 'f', { mtime: 4_102_444_800.25 }), directory('d', { mtime: 4_102_444_801.5 })],
      [file('f', 'changed', { mtime: 4_102_444_802.75 }), symlink('s', 'f', { mtime: 4_102_444_803 })],
    ],
  },
  {
    name: 'unreadable',
    title: 'files and directories that their owner may not even read are carried over with their content',
    seen: 'moby graphtest CreateBase: a file of mode 0222',
    requires: [{ root: true }],
    recipes: [
      [
        directory('closed'),
        file('closed/f'),
        attributes('closed', { mode: 0 }),
        file('none', 'n', { mode: 0 }),
      ],
      [
        append('none', 'more'),
        file('closed/g', 'g', { mode: 0o222 }),
        file('write-only', 'w', { mode: 0o222 }),
      ],
    ],
  },
  {
    name: 'case-only',
    title: 'names that differ in case only are different files, and each is deleted by itself',
    needs: unixNames,
    recipes: [
      [
        file('file', '1'),
        file('File', '2'),
        file('FILE', '3'),
        directory('Dir'),
        file('Dir/f'),
        directory('dir'),
      ],
      [remove('File'), file('dir/F'), remove('Dir')],
    ],
  },
  {
    name: 'dots-in-names',
    title: 'names that begin or end with dots are names like others',
    seen: 'moby chrootarchive: a file named ..gitme',
    needs: unixNames,
    recipes: [
      [file('..gitme'), file('a.'), file('a..'), file('...'), directory('.d.'), file('.d./..f')],
      [remove('a.'), append('..gitme', 'more'), file('...a'), remove('.d./..f'), file('.wh')],
      [remove('...'), remove('..gitme')],
    ],
  },
  {
    name: 'longest-names-deleted',
    title: 'names of 252 bytes and more, which no whiteout file could have, are deleted by a diff',
    seen: 'moby archive: a whiteout is .wh. and the whole name',
    recipes: [
      [
        file('a'.repeat(251)),
        file('b'.repeat(252)),
        file('c'.repeat(255)),
        directory('d'.repeat(255)),
        file(`${'d'.repeat(255)}/${'é'.repeat(127)}`),
        file(`${'d'.repeat(255)}/kept`),
        directory('e'.repeat(255)),
        file(`${'e'.repeat(255)}/f`),
      ],
      [
        remove('a'.repeat(251)),
        remove('b'.repeat(252)),
        remove('c'.repeat(255)),
        remove(`${'d'.repeat(255)}/${'é'.repeat(127)}`),
        remove('e'.repeat(255)),
      ],
      [file('c'.repeat(255), 'again'), directory('e'.repeat(255)), file(`${'e'.repeat(255)}/g`)],
    ],
  },
]

const privileged: readonly Requirement[] = [{ root: true }, { command: 'mount' }]

/** Fails unless the driver holds of a layer's name what it held before. */
function assertGone({ home }: Driver, name: string): void {
  const left = namesBelow(home).filter((found) => found.slice(home.length).includes(name))
  assert.deepEqual(left, [], `${name} was left behind`)
}

/** A tar that ends in the middle of its second file. */
function halfTar(): Buffer {
  const whole = rawTar({ name: 'first', data: 'first' }, { name: 'second', data: Buffer.alloc(4096, 2) })
  return whole.subarray(0, 2048 + 512)
}

/** A case's own directory of the host, with something in it that must still be there at the end. */
function precious(context: CaseContext): string {
  const host = context.scratch('host')
  mkdirSync(`${host}/d`)
  writeFileSync(`${host}/d/precious`, 'precious')
  return host
}

function assertPrecious(host: string): void {
  assert.equal(readFileSync(`${host}/d/precious`, 'utf8'), 'precious')
}

/** Free bytes of a filesystem, once it has written what it put off. */
async function freeBytes(volume: string): Promise<number> {
  await command('sync', ['--file-system', volume])
  const { bavail, bsize } = statfsSync(volume)
  return bavail * bsize
}

/** A directory chain of so many names of 200 bytes, and its innermost directory. */
function chain(at: string, name: string): string {
  mkdirSync(path.join(at, name))
  let deepest = name
  for (let level = 0; level < 8; level++) {
    deepest = path.join(deepest, String(level).repeat(200))
    mkdirSync(path.join(at, deepest))
  }
  return deepest
}

/** Truncates, deletes and grows files in turn, each time that a tar yields a chunk. */
async function* disturbed(tar: TarStream, files: readonly string[]): TarStream {
  let turn = 0
  for await (const chunk of tar) {
    const target = files[turn % files.length]
    if (target !== undefined && lstatSync(target, { throwIfNoEntry: false }) !== undefined) {
      if (turn % 3 === 0) truncateSync(target, 10)
      else if (turn % 3 === 1) rmSync(target)
      else writeFileSync(target, 'grown', { flag: 'a' })
    }
    turn++
    yield chunk
  }
}

const containerId = `c0ffee${'0123456789abcdef'.repeat(4)}`.slice(0, 64)

export const history: readonly ConformanceCase[] = casesOf(
  'history',
  ...histories.map(({ recipes, ...rest }): CaseBody => ({
    ...rest,
    run: (context) => rebuild(context, recipes),
  })),
  {
    name: 'half-made-layer',
    title: 'an id whose layer was removed half made can be used again, and for what it was meant',
    seen: 'moby#44909, moby#21215: layer does not exist',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f')])
      await driver.create(id('halfmade'), { parent: base })
      await assert.rejects(driver.applyDiff(id('halfmade'), base, inChunks(halfTar())))
      await driver.remove(id('halfmade'))
      assertGone(driver, 'halfmade')
      await driver.create(id('halfmade'), { parent: base })
      await context.within(id('halfmade'), (root) => assert.deepEqual(readdirSync(root), ['f']))
      await driver.applyDiff(id('halfmade'), base, inChunks(rawTar({ name: 'first', data: 'first' })))
      await context.within(id('halfmade'), (root) =>
        assert.deepEqual(readdirSync(root).toSorted(), ['f', 'first']),
      )
    },
  },
  {
    name: 'deleted-by-hand',
    title: 'a layer whose files were deleted by hand can be removed and made again, and others are whole',
    seen: 'moby#40132: a dataset is missing and the container can never be removed',
    async run(context) {
      const { driver } = context
      const recipe: Recipe = [directory('d'), file('d/f')]
      const base = await context.layer('base', undefined, recipe)
      const layer = await context.writable('byhand', base, [file('g')])
      const sibling = await context.writable('sibling1', base, [file('h')])
      for (const found of namesBelow(driver.home)) {
        if (path.basename(found) === layer) rmSync(found, { recursive: true })
      }
      await driver.remove(layer)
      assert.equal(await driver.exists(layer), false)
      await driver.create(layer, { parent: base })
      await context.shows(layer, recipe)
      await context.shows(sibling, recipe, [file('h')])
    },
  },
  {
    name: 'immutable-file',
    title: 'a file that a container made immutable goes with its layer, or is named, and goes when it may',
    seen: 'containers/storage: layers with immutable files are deletable',
    requires: [{ root: true }, { command: 'chattr', package: 'e2fsprogs' }],
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('f')])
      const layer = await context.writable('layer', base, [directory('d'), file('d/fixed')])
      await context.within(layer, async (root) => {
        await command('chattr', ['+i', `${root}/d/fixed`]).catch(() => {
          throw new CannotRun('files cannot be made immutable here')
        })
      })
      const fixed = (): readonly string[] =>
        namesBelow(driver.home).filter((found) => path.basename(found) === 'fixed')
      const refusal = await driver.remove(layer).then(
        () => undefined,
        (error: unknown) => String(error),
      )
      const left = fixed()
      for (const found of left) await command('chattr', ['-i', found])
      if (refusal !== undefined) assert.match(refusal, /fixed/, 'the error does not name the file')
      assert.equal(left.length > 0, refusal !== undefined, `left ${left.join(', ')}, said ${refusal}`)
      await driver.remove(layer)
      assert.deepEqual(fixed(), [])
      assert.equal(await driver.exists(layer), false)
      await context.shows(base, [file('f')])
    },
  },
  {
    name: 'host-directory-bound',
    title:
      'a directory of the host that is mounted inside of a layer is not emptied when the layer is removed',
    seen: 'moby#34948: mounts that containers leave behind',
    requires: privileged,
    async run(context) {
      const { driver } = context
      const host = precious(context)
      const base = await context.layer('base', undefined, [directory('volume')])
      for (const layer of [await context.writable('child', base), base]) {
        const mount = await driver.get(layer)
        await command('mount', ['--bind', host, `${mount.path}/volume`])
        assertPrecious(`${mount.path}/volume`)
        await driver.remove(layer)
        assertPrecious(host)
        assert.equal(await driver.exists(layer), false)
      }
    },
  },
  {
    name: 'mounted-inside-put',
    title: 'what a container left mounted inside of a layer stops neither unmount nor removal',
    seen: 'moby#34652: device or resource busy',
    requires: privileged,
    async run(context) {
      const { driver } = context
      const host = precious(context)
      const base = await context.layer('base', undefined, [directory('proc'), directory('volume')])
      const layer = await context.writable('child', base)
      await context.within(layer, async (root) => {
        await command('mount', ['-t', 'tmpfs', 'tmpfs', `${root}/proc`])
        mkdirSync(`${root}/proc/inner`)
        await command('mount', ['--bind', host, `${root}/proc/inner`])
      })
      await driver.remove(layer)
      assert.equal(await driver.exists(layer), false)
      assertPrecious(host)
    },
  },
  {
    name: 'opaque-not-copied',
    title: 'changing a directory that hides those below it does not make the layer above hide them again',
    seen: 'moby#28138: the opaque mark was copied up',
    async run(context) {
      const { driver } = context
      const [, middle, top] = await context.stack(
        'l',
        [directory('d'), file('d/a')],
        [remove('d'), directory('d'), file('d/b')],
        [attributes('d', { mode: 0o700 }), file('d/c')],
      )
      assert(middle !== undefined && top !== undefined)
      const entries = await readTar(driver.diff(top, middle))
      assert.deepEqual(entries.map(({ name }) => name).toSorted(), ['d/', 'd/c'])
      await context.within(top, (root) => assert.deepEqual(readdirSync(`${root}/d`).toSorted(), ['b', 'c']))
      const other = await context.layer('other', undefined, [directory('d'), file('d/kept')])
      const applied = await context.transplant('applied', other, top, middle)
      await context.within(applied, (root) =>
        assert.deepEqual(readdirSync(`${root}/d`).toSorted(), ['c', 'kept']),
      )
    },
  },
  {
    name: 'symlink-to-host',
    title: 'a layer that replaces a link to a directory of the host touches nothing there',
    seen: 'CVE-2018-15664',
    async run(context) {
      const host = precious(context)
      await rebuild(context, [
        [directory('d'), file('d/f')],
        [remove('d'), symlink('d', host)],
        [remove('d'), directory('d'), directory('d/d'), file('d/d/new')],
        [remove('d/d'), symlink('d/d', `${host}/d`)],
        [remove('d/d'), directory('d/d'), file('d/d/precious', 'not precious')],
      ])
      assertPrecious(host)
      assert.deepEqual(readdirSync(host, { recursive: true }), ['d', 'd/precious'])
    },
  },
  {
    name: 'reserved-name',
    title: 'a file that a container named like a whiteout deletes nothing when the diff is applied',
    seen: 'OCI image layers cannot have names that begin with .wh.; AUFS refused them',
    async run(context) {
      const recipe: Recipe = [file('victim'), directory('d'), file('d/victim'), file('d/kept')]
      const base = await context.layer('base', undefined, recipe)
      const layer = await context.writable('layer', base)
      await context.within(layer, (root) => {
        for (const name of ['.wh.victim', 'd/.wh.victim', 'd/.wh..wh..opq', '.wh.d']) {
          try {
            writeFileSync(`${root}/${name}`, 'a file like any other')
          } catch {
            // Refused is right too.
          }
        }
        writeFileSync(`${root}/d/new`, 'new')
      })
      const applied = await context.transplant('applied', base, layer, base)
      await context.within(applied, (root) => {
        assert.deepEqual(readdirSync(root).toSorted(), ['d', 'victim'])
        assert.deepEqual(readdirSync(`${root}/d`).toSorted(), ['kept', 'new', 'victim'])
      })
    },
  },
  {
    name: 'socket-and-fifo',
    title: 'a socket is left out of a diff, and a fifo is in it, and neither is waited for',
    seen: 'moby archive: sockets cannot be put in a tar',
    requires: [{ command: 'mkfifo', package: 'coreutils' }],
    async run(context) {
      const base = await context.layer('base', undefined, [directory('run')])
      const rest: Recipe = [fifo('run/pipe', { mode: 0o620 }), file('run/z'), file('z')]
      const layer = await context.writable('layer1', base, [
        socket('run/a.sock'),
        socket('run/zz.sock'),
        ...rest,
      ])
      const entries = await readTar(context.driver.diff(layer, base))
      assert.deepEqual(
        entries.map(({ name, type }) => `${type} ${name}`),
        ['directory run/', 'fifo run/pipe', 'file run/z', 'file z'],
      )
      const applied = await context.transplant('applied', base, layer, base)
      const oracle = await context.oracle([directory('run')], rest)
      await context.within(applied, (root) =>
        context.sameTree(oracle, root, [
          { aspect: 'mtime', path: /^\/$/, reason: 'a layer does not carry its root' },
        ]),
      )
    },
  },
  {
    name: 'many-files',
    title: 'a layer of two thousand files is removed to the last',
    seen: 'containerd#11021',
    async run(context) {
      const { driver, id } = context
      await driver.create(id('big'))
      await context.within(id('big'), (root) => {
        for (let at = 0; at < 2000; at++) {
          const place = `${root}/d${at % 50}`
          if (at < 50) mkdirSync(place)
          writeFileSync(`${place}/big-${at}`, '')
        }
      })
      await driver.remove(id('big'))
      // A large layer is out of sight at once, and its files have until here.
      assert.equal(await driver.exists(id('big')), false)
      await driver.cleanup()
      assertGone(driver, 'big')
    },
  },
  {
    name: 'deeper-than-a-path',
    title: 'a tree that is deeper than any path can say is removed with its layer',
    seen: 'PATH_MAX: rm(1) can, and what joins paths cannot',
    requires: [{ command: 'find', package: 'findutils' }],
    async run(context) {
      const { driver, id } = context
      await using _ = {
        // Whatever the driver did: what Node cannot delete must not outlive the case.
        async [Symbol.asyncDispose]() {
          const found = [driver.home, '-name', 'bottomless', '-prune', '-exec', 'rm', '-rf', '{}', '+']
          await command('find', found)
        },
      }
      await driver.create(id('layer'))
      await context.within(id('layer'), (root) => {
        const deepest = chain(root, 'bottomless')
        const [middle, inner] = [chain(root, 'middle'), chain(root, 'inner')]
        writeFileSync(`${root}/${inner}/f`, 'deep')
        renameSync(`${root}/inner`, `${root}/${middle}/inner`)
        renameSync(`${root}/middle`, `${root}/${deepest}/middle`)
      })
      await driver.remove(id('layer'))
      assertGone(driver, 'bottomless')
      assert.equal(await driver.exists(id('layer')), false)
    },
  },
  {
    name: 'changing-while-read',
    title: 'files that shrink, grow and vanish while their diff is read leave it a whole tar',
    seen: 'moby archive: missed writing bytes',
    async run(context) {
      const { driver, id } = context
      const names = Array.from({ length: 12 }, (_, index) => `f${String(index).padStart(2, '0')}`)
      const base = await context.layer('base')
      await driver.createReadWrite(id('layer'), { parent: base })
      await context.within(id('layer'), async (root) => {
        const files = names.map((name) => `${root}/${name}`)
        for (const name of files) writeFileSync(name, Buffer.alloc(512 * 1024, name))
        const tar = await collect(disturbed(driver.diff(id('layer'), base), files))
        assert.equal(tar.length % 512, 0, 'a tar is made of blocks')
        assert(
          tar.subarray(-1024).every((byte) => byte === 0),
          'a tar ends with two blocks of zeros',
        )
        const entries = await readTar(tar)
        assert.deepEqual(
          entries.map(({ name }) => name).filter((name) => !names.includes(name)),
          [],
        )
        assert.equal(entries[0]?.name, names[0])
      })
    },
  },
  {
    name: 'init-layer',
    title: 'what was prepared in an init layer shows in the container and is not in its diff',
    seen: 'moby layer store MountSize and MountChanges',
    async run(context) {
      const { driver, id } = context
      const image = await context.layer('f'.repeat(64), undefined, [directory('etc'), file('etc/passwd')])
      const prepared: Recipe = [file('etc/hosts', ''), file('.dockerenv', ''), directory('dev')]
      const init = await context.writable(`${containerId}-init`, image, prepared)
      const container = await context.writable(containerId, init)
      await context.within(container, (root) => {
        assert.deepEqual(readdirSync(root).toSorted(), ['.dockerenv', 'dev', 'etc'])
        writeFileSync(`${root}/etc/motd`, 'welcome')
      })
      const entries = await readTar(driver.diff(container, init))
      assert.deepEqual(
        entries.map(({ name }) => name),
        ['etc/', 'etc/motd'],
      )
      assert.equal(await driver.diffSize(container, init), 'welcome'.length)
      await driver.remove(container)
      await driver.remove(init)
      assert.deepEqual(await Array.fromAsync(driver.layers()), [id('f'.repeat(64))])
    },
  },
  {
    name: 'commit',
    title: 'a container’s layer that is committed gives an image layer equal to it',
    seen: 'moby layer store MountAndRegister: docker commit',
    needs: anyOwner,
    async run(context) {
      const { driver } = context
      const below: Recipe = [
        directory('etc'),
        file('etc/passwd', { bytes: 3000, seed: 1 }),
        file('etc/shadow', 'secret', { mode: 0o600 }),
        directory('var', { mode: 0o1777 }),
        file('var/log', 'log'),
        symlink('bin', 'usr/bin'),
      ]
      const above: Recipe = [
        append('etc/passwd', 'another user'),
        attributes('etc/shadow', { gid: 42, mode: 0o640 }),
        remove('var/log'),
        directory('var/log', { uid: 3 }),
        file('var/log/messages', { bytes: 70_000, seed: 2 }),
        remove('bin'),
        directory('bin'),
        file('bin/sh', { bytes: 10_000, seed: 3 }, { mode: 0o755 }),
        link('bin/bash', 'bin/sh'),
      ]
      const image = await context.layer('image', undefined, below)
      const container = await context.writable('container1', image, above)
      const committed = await context.transplant('committed', image, container, image)
      await context.showsApplied(committed, below, above)
      assert.deepEqual(await driver.changes(committed, image), await driver.changes(container, image))
      assert.equal(await driver.diffSize(committed, image), await driver.diffSize(container, image))
      const again = await context.writable('again2', committed, [file('new')])
      await context.within(again, (root) =>
        assert(statSync(`${root}/bin/bash`).ino === statSync(`${root}/bin/sh`).ino),
      )
    },
  },
  {
    name: 'sharing-told-truly',
    title: 'a child costs next to nothing where the driver says that it shares with its parent',
    seen: 'vyos-1x#1702: a full copy of every layer',
    needs: ({ sharing }) => (sharing === 'none' ? 'a layer is a full copy of its parent here' : undefined),
    requires: [{ root: true }, { command: 'sync', package: 'coreutils' }],
    async run(context) {
      const { id } = context
      const volume = await context.volume({ kind: 'small' })
      const driver = await context.reopen(path.join(volume, 'root'))
      if (driver.capabilities.sharing === 'none')
        throw new CannotRun('a small volume of this kind shares nothing')
      await driver.create(id('base'))
      {
        await using mount = await driver.get(id('base'))
        writeFileSync(`${mount.path}/big`, contentBytes({ bytes: 6 * 1024 * 1024, seed: 9 }))
      }
      const before = await freeBytes(volume)
      await driver.create(id('child'), { parent: id('base') })
      {
        await using mount = await driver.get(id('child'))
        assert.equal(statSync(`${mount.path}/big`).size, 6 * 1024 * 1024)
      }
      const cost = before - (await freeBytes(volume))
      assert(cost < 2 * 1024 * 1024, `a child of 6 MiB cost ${cost} bytes`)
    },
  },
  {
    name: 'reason-for-slow-diffs',
    title: 'a driver that compares whole trees for a diff says why',
    seen: 'container-libs#1077, flatcar#1905: native diff is off, and nobody knows why',
    needs: ({ diff }) => (diff.native ? 'diffs are native here' : undefined),
    run({ driver }) {
      const { diff } = driver.capabilities
      assert(!diff.native && diff.reason.trim().length > 0, 'no reason is given')
      return Promise.resolve()
    },
  },
  {
    name: 'open-file',
    title: 'a layer in which a file is open is removed, and the file can be read to its end',
    seen: 'moby#37970, moby#34652: device or resource busy',
    needs: unixFiles,
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('lower', 'lower')])
      const layer = await context.writable('opened', base, [file('f', 'still here')])
      const mount = await driver.get(layer)
      const open = ['f', 'lower'].map((name) => openSync(`${mount.path}/${name}`, 'r'))
      try {
        await driver.remove(layer)
        assert.deepEqual(
          open.map((fd) => readFileSync(fd, 'utf8')),
          ['still here', 'lower'],
        )
      } finally {
        for (const fd of open) closeSync(fd)
      }
      assertGone(driver, 'opened')
    },
  },
  {
    name: 'working-directory',
    title: 'a layer in which a process has its working directory is unmounted and removed',
    seen: 'moby#32461: device or resource busy',
    requires: [{ command: 'sh' }],
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [directory('d')])
      const layer = await context.writable('layer', base, [directory('e')])
      await context.within(layer, async (root) => {
        for (const name of ['d', 'e']) context.keep(await hold({ cwd: `${root}/${name}` }))
      })
      await driver.remove(layer)
      assert.equal(await driver.exists(layer), false)
      await driver.create(layer, { parent: base })
      await context.within(layer, (root) => assert.deepEqual(readdirSync(root), ['d']))
    },
  },
)
