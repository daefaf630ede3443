/** Layers that are shown with other owners, as a container in a user namespace needs them. */
import assert from 'node:assert/strict'
import { lchownSync, lstatSync, readdirSync } from 'node:fs'
import { isGraphDriverError } from '../../error.ts'
import type { IdMap } from '../../id-map.ts'
import type { LayerId } from '../../id.ts'
import type { Mount } from '../../mount.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { ordinaryId } from '../host/ordinary-user.ts'
import { command } from '../host/command.ts'
import { mountsBelow } from '../host/mount-table.ts'
import type { Requirement } from '../host/requirement.ts'
import { CannotRun } from '../lab.ts'
import { directory, file, type Recipe } from '../recipe/step.ts'
import { mappedOwners } from './needs.ts'

const requires: readonly Requirement[] = [
  { root: true },
  { command: 'setpriv', package: 'util-linux' },
  { command: 'unshare', package: 'util-linux' },
]

/** Root of the layer is the first of these, and so on. */
const first = ordinaryId
const ids: IdMap = mapFrom(first)

function mapFrom(outside: number): IdMap {
  const ranges = [{ inside: 0, outside, count: 2000 }]
  return { uids: ranges, gids: ranges }
}

const tree: Recipe = [
  directory('d', { uid: 0, gid: 0 }),
  file('d/of-root', 'root'),
  file('d/of-user', 'user', { uid: 1000, gid: 1001 }),
  file('of-stranger', 'stranger', { uid: 70_000, gid: 70_000, mode: 0o600 }),
]

/** The layer with other owners; where this kernel or filesystem cannot do that, the case cannot run. */
async function mapped(context: CaseContext, id: LayerId, map: IdMap = ids): Promise<Mount> {
  const { driver } = context
  assert(driver.getMapped !== undefined, 'the driver says that it can, and has no getMapped')
  try {
    return await driver.getMapped(id, map)
  } catch (error) {
    if (isGraphDriverError(error, 'GD_DRIVER_UNSUPPORTED'))
      throw new CannotRun('layers are shown with no other owners by this kernel or on this filesystem')
    throw error
  }
}

/** As root of the container, who is nobody out here. */
async function asMappedRoot(cwd: string, program: string): Promise<void> {
  const drop = [`--reuid=${first}`, `--regid=${first}`, '--clear-groups']
  await command('setpriv', [...drop, 'sh', '-c', program], { cwd })
}

function ownersOf(root: string, ...names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const { uid, gid } = lstatSync(`${root}/${name}`)
    return `${uid}:${gid}`
  })
}

async function childOfTree(context: CaseContext): Promise<readonly [base: LayerId, child: LayerId]> {
  const base = await context.layer('base', undefined, tree)
  return [base, await context.writable('child', base)]
}

const all = ['.', 'd', 'd/of-root', 'd/of-user', 'of-stranger'] as const

export const mappedCases: readonly ConformanceCase[] = casesOf(
  'namespaces',
  {
    name: 'mapped-owners',
    title:
      'a layer is shown with the owners of a map, what it does not have belonging to nobody, and nothing is changed',
    seen: 'containers/podman#26479, moby#2918',
    needs: mappedOwners,
    requires,
    async run(context) {
      const [base, child] = await childOfTree(context)
      {
        await using mount = await mapped(context, child)
        const root = `${first}:${first}`
        const user = `${first + 1000}:${first + 1001}`
        assert.deepEqual(ownersOf(mount.path, ...all), [root, root, root, user, '65534:65534'])
      }
      await context.within(child, (root) =>
        assert.deepEqual(ownersOf(root, ...all), ['0:0', '0:0', '0:0', '1000:1001', '70000:70000']),
      )
      assert.deepEqual(await context.driver.changes(child, base), [])
    },
  },
  {
    name: 'mapped-writes',
    title:
      'what a container writes under a map is in the layer, and in its diff, with the owners of the layer',
    needs: mappedOwners,
    requires,
    async run(context) {
      const { driver } = context
      const [base, child] = await childOfTree(context)
      {
        await using mount = await mapped(context, child)
        await asMappedRoot(
          mount.path,
          'echo more >> d/of-root; mkdir new; echo new > new/file; rm -f d/of-user; mkdir d/of-user',
        )
        const user = first + 7
        lchownSync(`${mount.path}/new/file`, user, user)
      }
      const expected = ['D /d/of-user', 'C /d/of-root']
      const changed = (await driver.changes(child, base)).map(({ path }) => path)
      for (const change of expected) assert(changed.includes(change.slice(2)), `${change} is not told`)
      const applied = await context.transplant('applied', base, child, base)
      for (const layer of [child, applied]) {
        await context.within(layer, (root) => {
          const names = ['d/of-root', 'd/of-user', 'new', 'new/file'] as const
          assert.deepEqual(ownersOf(root, ...names), ['0:0', '0:0', '0:0', '7:7'])
          assert.equal(lstatSync(`${root}/d/of-user`).isDirectory(), true)
        })
      }
      await context.shows(base, tree)
    },
  },
  {
    name: 'mapped-strangers',
    title: 'under a map nobody can change, give away or take what belongs to somebody who is not in it',
    needs: mappedOwners,
    requires,
    async run(context) {
      const [, child] = await childOfTree(context)
      {
        await using mount = await mapped(context, child)
        await assert.rejects(asMappedRoot(mount.path, 'cat of-stranger'), /Permission denied/)
        await assert.rejects(asMappedRoot(mount.path, `chown ${first} of-stranger`))
        assert.throws(() => lchownSync(`${mount.path}/d/of-root`, 3_000_000, 3_000_000))
      }
      await context.within(child, (root) => assert.deepEqual(ownersOf(root, ...all).at(-1), '70000:70000'))
    },
  },
  {
    name: 'mapped-twice',
    title:
      'a layer that is shown by one map is shown by another truly or not at all, and by it when the first has let go',
    needs: mappedOwners,
    requires,
    async run(context) {
      const [, child] = await childOfTree(context)
      const owner = async (map: IdMap | undefined): Promise<string | undefined> => {
        try {
          await using mount =
            map === undefined ? await context.driver.get(child) : await mapped(context, child, map)
          return ownersOf(mount.path, 'd/of-root')[0]
        } catch (error) {
          if (isGraphDriverError(error, 'GD_LAYER_IN_USE')) return undefined
          throw error
        }
      }
      {
        await using mount = await mapped(context, child)
        assert((await owner(mapFrom(200_000))) !== `${first}:${first}`)
        assert([undefined, '0:0'].includes(await owner(undefined)))
        const same = await mapped(context, child)
        assert.equal(same.path, mount.path)
        await same[Symbol.asyncDispose]()
        assert.deepEqual(ownersOf(mount.path, 'd/of-root'), [`${first}:${first}`])
        const other = await context.reopen()
        try {
          await using elsewhere = await other.get(child)
          assert.deepEqual(ownersOf(elsewhere.path, 'd/of-root'), ['0:0'])
        } catch (error) {
          assert(isGraphDriverError(error, 'GD_LAYER_IN_USE'), String(error))
        }
        if (context.subject.definition.opensReadOnly === true) {
          const reader = await context.openReadOnly()
          await using read = await reader.get(child)
          assert.deepEqual(ownersOf(read.path, 'd/of-root'), ['0:0'])
        }
      }
      assert.equal(await owner(mapFrom(200_000)), '200000:200000')
      assert.equal(await owner(undefined), '0:0')
    },
  },
  {
    name: 'mapped-left',
    title:
      'what one process has left shown by a map, another can unmount by the layer’s id, and see the layer as it is',
    needs: mappedOwners,
    requires,
    async run(context) {
      const [, child] = await childOfTree(context)
      const before = mountsBelow(context.root)
      await mapped(context, child)
      const later = await context.reopen()
      await later.put(child)
      assert.deepEqual(mountsBelow(context.root), before)
      await using mount = await later.get(child)
      assert.deepEqual(ownersOf(mount.path, 'd/of-root'), ['0:0'])
    },
  },
  {
    name: 'mapped-badly',
    title:
      'a map without ids, with ids twice, or with ids that there are not is refused, and nothing is mounted',
    needs: mappedOwners,
    requires,
    async run(context) {
      const [, child] = await childOfTree(context)
      const good = ids.gids
      const range = { inside: 0, outside: first, count: 10 }
      const bad: readonly IdMap['uids'][] = [
        [],
        [{ ...range, count: 0 }],
        [{ ...range, inside: -1 }],
        [{ ...range, outside: 0xffff_ffff }],
        [{ ...range, count: 0xffff_ffff }],
        [range, { ...range, outside: 300_000 }],
        [range, { ...range, inside: 5000 }],
      ]
      const before = mountsBelow(context.root)
      for (const uids of bad) {
        await assert.rejects(mapped(context, child, { uids, gids: good }), (error) => {
          assert(isGraphDriverError(error, 'GD_INVALID_OPTION'), String(error))
          return true
        })
      }
      await assert.rejects(mapped(context, context.id('absent')), (error) =>
        isGraphDriverError(error, 'GD_LAYER_NOT_FOUND'),
      )
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'mapped-removed',
    title: 'a layer that is shown by a map and removed is gone, and nothing of it stays mounted',
    needs: mappedOwners,
    requires,
    async run(context) {
      const [base, child] = await childOfTree(context)
      const before = mountsBelow(context.root)
      const mount = await mapped(context, child)
      await asMappedRoot(mount.path, 'touch written')
      await context.driver.remove(child)
      await mount[Symbol.asyncDispose]()
      assert.deepEqual(mountsBelow(context.root), before)
      assert.equal(await context.driver.exists(child), false)
      await context.shows(base, tree)
      const again = await context.writable('child', base)
      {
        await using shown = await mapped(context, again)
        assert.equal(readdirSync(shown.path).includes('written'), false)
        await asMappedRoot(shown.path, 'mkdir here; mv here there; rmdir there; mv d e; rm -r e')
      }
      await context.driver.remove(again)
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
)
