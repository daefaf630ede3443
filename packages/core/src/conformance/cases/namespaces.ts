/** Whose files, who may come to them, and who else has a copy of the mount. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  lchownSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { isGraphDriverError } from '../../error.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { hold, type Holder } from '../host/holder.ts'
import { mountsBelow } from '../host/mount-table.ts'
import { namesBelow } from '../listing.ts'
import { asOrdinaryUser, ordinaryUser } from '../host/ordinary-user.ts'
import { command } from '../host/command.ts'
import { findCommand, type Requirement } from '../host/requirement.ts'
import { CannotRun } from '../lab.ts'
import { device, directory, file, type Recipe, remove, symlink } from '../recipe/step.ts'
import { inChunks, rawTar } from '../tar/raw-tar.ts'
import { readTree } from '../tree/tree.ts'
import { anyOwner, deviceNodes, unixModes } from './needs.ts'

const otherNamespace: readonly Requirement[] = [{ root: true }, { command: 'unshare', package: 'util-linux' }]

/** A process with its own copy of every mount that there is now, which sees nothing of what comes after. */
async function holdMounts(context: CaseContext): Promise<Holder> {
  return context.keep(await hold({ through: ['unshare', '--mount', '--propagation', 'private'] }))
}

/** An id that the process's namespace does not map; where it maps all there are, one that nobody has. */
function unmappedId(): number {
  const ranges = readFileSync('/proc/self/uid_map', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , length = 0]) => ({ first, end: first + length }))
  const isMapped = (id: number): boolean => ranges.some(({ first, end }) => id >= first && id < end)
  return [1, 1000, 70_000, 2_000_000_000].find((id) => !isMapped(id)) ?? 3_999_999_999
}

/** Files whose owners are at the ends of what an id can be, 65534 and 65535 among them. */
const owners: readonly number[] = [0, 1, 999, 65_534, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe]

const owned: Recipe = owners.flatMap((id, index) => [
  directory(`d${id}`, { uid: id, gid: owners.at(-index) ?? 0 }),
  file(`d${id}/f`, String(id), { uid: owners.at(-index) ?? 0, gid: id, mode: 0o6755 }),
  symlink(`d${id}/s`, 'f', { uid: id, gid: id }),
])

/** Runs the same in a plain directory: where the filesystem itself is mounted so that it fails, nothing is learnt. */
async function control(
  context: CaseContext,
  option: string,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const plain = context.scratch(`control-${option}`)
  try {
    await use(plain)
  } catch {
    throw new CannotRun(`the filesystem of the data root is mounted ${option}`)
  }
}

async function runScript(root: string): Promise<void> {
  writeFileSync(`${root}/program`, '#!/bin/sh\necho ran\n')
  chmodSync(`${root}/program`, 0o755)
  assert.equal(await asOrdinaryUser(root, './program'), 'ran\n')
}

async function runSetUserId(root: string): Promise<void> {
  copyFileSync(findCommand('id') ?? 'id', `${root}/id`)
  lchownSync(`${root}/id`, 4321, 4321)
  chmodSync(`${root}/id`, 0o4755)
  assert.equal(await asOrdinaryUser(root, './id', '-u'), '4321\n')
}

async function readNull(root: string): Promise<void> {
  await command('mknod', [`${root}/null`, 'c', '1', '3'])
  chmodSync(`${root}/null`, 0o666)
  const fd = openSync(`${root}/null`, 'r+')
  try {
    assert.equal(readSync(fd, Buffer.alloc(1)), 0)
  } finally {
    closeSync(fd)
  }
}

/** Modes on the way are those of the driver alone: everything above its home is opened. @returns how many were found */
async function assertUnreachable(
  { directory: above, root, driver }: CaseContext,
  name: string,
): Promise<number> {
  chmodSync(above, 0o755)
  chmodSync(root, 0o755)
  writeFileSync(`${above}/control`, 'reached')
  chmodSync(`${above}/control`, 0o644)
  assert.equal(await asOrdinaryUser(above, 'cat', 'control'), 'reached')
  const places = namesBelow(driver.home).filter((found) => path.basename(found) === name)
  for (const place of places) {
    await assert.rejects(
      asOrdinaryUser(above, 'cat', path.relative(above, place)),
      /Permission denied/,
      `${place} can be read by anybody`,
    )
  }
  return places.length
}

export const namespaces: readonly ConformanceCase[] = casesOf(
  'namespaces',
  {
    name: 'any-owner',
    title: 'files may belong to any user and group, in a layer, in its child and in its diff',
    needs: anyOwner,
    async run(context) {
      const base = await context.layer('base', undefined, owned)
      await context.shows(base, owned)
      await context.shows(await context.layer('child', base), owned)
      await context.showsApplied(await context.transplant('applied', undefined, base), owned)
    },
  },
  {
    name: 'owner-changed',
    title: 'a child may give files of its parent to any user, and its diff says so',
    seen: 'docker#20240, docker#24913, docker#28391',
    needs: anyOwner,
    async run(context) {
      const changed: Recipe = owners.map((id) => ({
        do: 'attributes',
        path: `d${id}/f`,
        with: { uid: 7, gid: id },
      }))
      const [base, child] = await context.stack('l', owned, changed)
      assert(child !== undefined)
      await context.shows(child, owned, changed)
      const applied = await context.transplant('applied', base, child, base)
      await context.showsApplied(applied, owned, changed)
    },
  },
  {
    name: 'unmapped-owner',
    title: 'an owner outside of the user namespace’s map is refused with the name of the entry',
    needs: ({ ownership }) => (ownership === 'mapped' ? undefined : 'files may belong to anybody here'),
    async run({ driver, id }) {
      await driver.create(id('layer'))
      const tar = rawTar(
        { name: 'mine', data: 'mine' },
        { name: 'theirs', data: 'theirs', uid: unmappedId() },
      )
      await assert.rejects(driver.applyDiff(id('layer'), undefined, inChunks(tar)), (error) => {
        assert(isGraphDriverError(error, 'GD_ARCHIVE_UNSUPPORTED'), String(error))
        assert.equal(error.details.entry, 'theirs')
        assert.match(error.message, /theirs/)
        return true
      })
      await driver.remove(id('layer'))
      assert.equal(await driver.exists(id('layer')), false)
    },
  },
  {
    name: 'device-works',
    title: 'a device node in a layer is the device',
    needs: deviceNodes,
    requires: [{ root: true }, { command: 'mknod', package: 'coreutils' }],
    async run(context) {
      await control(context, 'nodev', readNull)
      const base = await context.layer('base')
      const child = await context.writable('child', base)
      await context.within(child, readNull)
    },
  },
  {
    name: 'device-impossible',
    title: 'a device node that cannot be made is refused by its name or left out, and is nothing else',
    needs: ({ deviceNodes }) => (deviceNodes ? 'device nodes can be made here' : undefined),
    async run({ driver, id, within }) {
      await driver.create(id('layer'))
      const tar = rawTar({ name: 'null', type: '3', device: [1, 3] }, { name: 'after', data: 'after' })
      try {
        await driver.applyDiff(id('layer'), undefined, inChunks(tar))
      } catch (error) {
        assert(isGraphDriverError(error, 'GD_ARCHIVE_UNSUPPORTED'), String(error))
        assert.equal(error.details.entry, 'null')
        return
      }
      await within(id('layer'), (root) => assert.deepEqual(readdirSync(root), ['after']))
    },
  },
  {
    name: 'label-without-effect',
    title: 'where labels have no effect, a layer made and mounted with one is as without',
    needs: ({ mountLabel }) => (mountLabel ? 'labels have an effect here' : undefined),
    async run(context) {
      const { driver, id } = context
      const mountLabel = 'system_u:object_r:container_file_t:s0:c1,c2'
      const recipe: Recipe = [directory('d', { mode: 0o1750 }), file('d/f'), symlink('s', 'd')]
      const base = await context.layer('base', undefined, recipe)
      await driver.create(id('image'), { parent: base, mountLabel })
      await driver.createReadWrite(id('container'), { parent: id('image'), mountLabel })
      const oracle = await context.oracle(recipe)
      {
        await using mount = await driver.get(id('container'), { mountLabel })
        await context.sameTree(oracle, mount.path)
        writeFileSync(`${mount.path}/written`, 'with a label')
      }
      await context.within(id('container'), (root) =>
        assert.equal(readFileSync(`${root}/written`, 'utf8'), 'with a label'),
      )
      assert.deepEqual(await driver.changes(id('container'), id('image')), [
        { path: '/written', kind: 'add' },
      ])
    },
  },
  {
    name: 'held-elsewhere-put',
    title: 'a layer whose mount another mount namespace has a copy of can be unmounted and mounted again',
    seen: 'moby#34652',
    requires: otherNamespace,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const layer = await context.writable('layer', base)
      // Its own place may be one.
      const before = mountsBelow(context.directory)
      await context.within(layer, async (root) => {
        writeFileSync(`${root}/g`, 'kept')
        await holdMounts(context)
      })
      assert.deepEqual(mountsBelow(context.directory), before)
      await context.within(layer, (root) => {
        assert.equal(readFileSync(`${root}/g`, 'utf8'), 'kept')
        writeFileSync(`${root}/h`, 'more')
      })
    },
  },
  {
    name: 'held-elsewhere-remove',
    title: 'a layer whose mount another mount namespace has a copy of can be removed, mounted as it is',
    seen: 'moby#37970, moby#32461: device or resource busy',
    requires: otherNamespace,
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('f')])
      // A driver may note in a layer that it has had a child.
      await driver.remove(await context.layer('first', base))
      const before = namesBelow(driver.home)
      const layer = await context.writable('layer', base)
      await driver.get(layer)
      await holdMounts(context)
      await driver.remove(layer)
      assert.equal(await driver.exists(layer), false)
      assert.deepEqual(namesBelow(driver.home), before)
    },
  },
  {
    name: 'held-elsewhere-reuse',
    title: 'the id of a removed layer can be used while another mount namespace has a copy of its mount',
    seen: 'moby#14474',
    requires: otherNamespace,
    async run(context) {
      const { driver } = context
      const recipe: Recipe = [file('f')]
      const base = await context.layer('base', undefined, recipe)
      const layer = await context.writable('layer', base, [file('old')])
      await context.within(layer, () => holdMounts(context))
      await driver.remove(layer)
      await driver.create(layer, { parent: base })
      await context.shows(layer, recipe)
      await context.within(layer, (root) => writeFileSync(`${root}/new`, 'new'))
      await context.within(layer, (root) => assert.deepEqual(readdirSync(root).toSorted(), ['f', 'new']))
    },
  },
  {
    name: 'holder-elsewhere-keeps-parent',
    title: 'removing a layer that is mounted elsewhere too takes nothing from its parent and siblings',
    seen: 'moby#34948',
    requires: otherNamespace,
    async run(context) {
      const recipe: Recipe = [directory('d'), file('d/f')]
      const base = await context.layer('base', undefined, recipe)
      const layer = await context.writable('layer', base, [remove('d')])
      const sibling = await context.writable('sibling', base)
      await using mount = await context.driver.get(sibling)
      await context.within(layer, () => holdMounts(context))
      await context.driver.remove(layer)
      await context.shows(base, recipe)
      await context.sameTree(await context.oracle(recipe), mount.path)
    },
  },
  {
    name: 'home-closed',
    title: 'nobody but root may list or write the driver’s home',
    seen: 'CVE-2021-41091',
    needs: unixModes,
    async run(context) {
      await context.layer('child', await context.layer('base'))
      const open = statSync(context.driver.home).mode & 0o066
      assert.equal(open.toString(8), '0')
    },
  },
  {
    name: 'unreachable',
    title: 'an ordinary user comes to no file of a layer by its path, mounted or not',
    seen: 'CVE-2021-41091',
    requires: ordinaryUser,
    async run(context) {
      const recipe = [file('secret', 'secret', { mode: 0o4755 })]
      const base = await context.layer('base', undefined, recipe)
      const child = await context.writable('child', base, [file('secret', 'changed')])
      // A layer that is not mounted may be in a device or a dataset, and nothing of it in the home.
      await assertUnreachable(context, 'secret')
      await context.within(base, () =>
        context.within(child, async () => {
          const found = await assertUnreachable(context, 'secret')
          assert(found >= 2, 'not both layers show their file below the home')
        }),
      )
    },
  },
  {
    name: 'ordinary-user-runs',
    title: 'an ordinary user inside of a mounted layer can run a program of it',
    needs: anyOwner,
    requires: ordinaryUser,
    async run(context) {
      await control(context, 'noexec', runScript)
      const base = await context.layer('base')
      await context.within(await context.writable('child', base), runScript)
      await context.within(await context.writable('alone'), runScript)
    },
  },
  {
    name: 'set-user-id-works',
    title: 'a set-user-ID program inside of a mounted layer runs as its owner',
    needs: anyOwner,
    requires: [...ordinaryUser, { command: 'id', package: 'coreutils' }],
    async run(context) {
      await control(context, 'nosuid', runSetUserId)
      const base = await context.layer('base')
      await context.within(await context.writable('child', base), runSetUserId)
    },
  },
  {
    name: 'umask-of-apply',
    title: 'the umask of the process narrows nothing that applyDiff makes, for a child neither',
    seen: 'containerd RootPermission; moby gave parents that a tar does not list mode 0600 until 23.0',
    requires: ordinaryUser,
    async run(context) {
      const { driver, id } = context
      const tar = rawTar(
        { name: 'implied/too/f', data: 'f' },
        { name: 'listed/', mode: 0o755 },
        { name: 'listed/g', data: 'g', mode: 0o644 },
      )
      const before = process.umask(0o077)
      try {
        await driver.create(id('base'))
        await driver.applyDiff(id('base'), undefined, inChunks(tar))
        await driver.create(id('child'), { parent: id('base') })
      } finally {
        process.umask(before)
      }
      for (const name of ['base', 'child']) {
        await context.within(id(name), async (root) => {
          const modes = [...(await readTree(root))].map(([at, { mode }]) => `/${at} ${mode.toString(8)}`)
          assert.deepEqual(modes, [
            '/ 755',
            '/implied 755',
            '/implied/too 755',
            '/implied/too/f 644',
            '/listed 755',
            '/listed/g 644',
          ])
          assert.equal(await asOrdinaryUser(root, 'cat', 'implied/too/f'), 'f')
        })
      }
    },
  },
  {
    name: 'device-kept',
    title: 'a device node of a layer keeps its number and owner in a child and in a diff',
    needs: deviceNodes,
    requires: [{ root: true }, { command: 'mknod', package: 'coreutils' }],
    async run(context) {
      const recipe: Recipe = [
        directory('dev'),
        device('dev/null', 'c', [1, 3], { mode: 0o666 }),
        device('dev/disk', 'b', [8, 17], { mode: 0o660, gid: 6 }),
        device('dev/far', 'c', [500, 200_000]),
      ]
      const base = await context.layer('base', undefined, recipe)
      await context.shows(await context.layer('child', base), recipe)
      await context.showsApplied(await context.transplant('applied', undefined, base), recipe)
      const { mode } = await context.within(base, (root) => lstatSync(`${root}/dev/null`))
      assert.equal((mode & 0o777).toString(8), '666')
    },
  },
)
