/** What the entries of a tar make of a layer. */
import assert from 'node:assert/strict'
import { lstatSync, readFileSync } from 'node:fs'
import type { LayerId } from '../../id.ts'
import type { CaseBody } from '../case.ts'
import { rootIsOwn } from '../context.ts'
import {
  attributes,
  contentBytes,
  device,
  directory,
  fifo,
  file,
  link,
  symlink,
  type Recipe,
} from '../recipe/step.ts'
import { inChunks, rawTar, type RawEntry } from '../tar/raw-tar.ts'
import { dress, listing } from '../tree/listing.ts'
import { readXattrs } from '../tree/xattr.ts'
import { appliedLayer, makesOf, namesEntry, treeWithContent, upon } from './applied-layer.ts'
import { anyNames, anyOwner, deviceNodes, hardLinks, unicodeNames, unixModes, unixNames } from './needs.ts'

export const trees: readonly CaseBody[] = [
  {
    name: 'tree',
    title: 'a layer is what its tar says: files, modes, owners, times and links',
    needs: anyOwner,
    async run(context) {
      const mtime = 1_100_000_000.5
      const f = { mode: 0o640, uid: 3, gid: 4, mtime }
      const entries: readonly RawEntry[] = [
        { name: 'd/', mode: 0o1750, uid: 1, gid: 2, mtime: '1000000000.25' },
        { name: 'd/f', ...f, mtime: String(mtime), data: 'some content' },
        { name: 'd/empty', mode: 0o400, uid: 65_534, gid: 65_534, mtime: '1' },
        { name: 'd/unreadable/', mode: 0, mtime: '1200000000.75' },
        { name: 'l', type: '2', link: 'd/f', uid: 5, gid: 6, mode: 0o777, mtime: '1300000000.5' },
        { name: 'h', type: '1', link: 'd/f', ...f, mtime: String(mtime) },
        { name: 'p', type: '6', mode: 0o622, uid: 7, gid: 8, mtime: '1400000000.125' },
      ]
      const recipe: Recipe = [
        directory('d', { mode: 0o1750, uid: 1, gid: 2, mtime: 1_000_000_000.25 }),
        file('d/f', 'some content', f),
        file('d/empty', '', { mode: 0o400, uid: 65_534, gid: 65_534, mtime: 1 }),
        directory('d/unreadable', { mode: 0, mtime: 1_200_000_000.75 }),
        symlink('l', 'd/f', { uid: 5, gid: 6, mtime: 1_300_000_000.5 }),
        link('h', 'd/f'),
        fifo('p', { mode: 0o622, uid: 7, gid: 8, mtime: 1_400_000_000.125 }),
        // The last word on the file of two names.
        attributes('h', { mtime }),
      ]
      const lower = await context.layer('lower')
      const oracle = await context.oracle(recipe)
      for (const [name, parent] of [
        ['alone', undefined],
        ['upper', lower],
      ] as const) {
        const made = await appliedLayer(context, name, parent, ...entries)
        await context.within(made, (root) => context.sameTree(oracle, root, rootIsOwn))
      }
    },
  },
  {
    name: 'devices',
    title: 'character and block devices of a tar are made with their numbers, modes and owners',
    requires: [{ root: true }],
    needs: deviceNodes,
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'c', type: '3', device: [12, 5], mode: 0o620, uid: 1, gid: 5, mtime: '1000000000' },
        { name: 'b', type: '4', device: [8, 200], mode: 0o660, gid: 6, mtime: '1100000000.5' },
      ]
      const recipe: Recipe = [
        device('c', 'c', [12, 5], { mode: 0o620, uid: 1, gid: 5, mtime: 1_000_000_000 }),
        device('b', 'b', [8, 200], { mode: 0o660, gid: 6, mtime: 1_100_000_000.5 }),
      ]
      const oracle = await context.oracle(recipe)
      const made = await appliedLayer(context, 'made', await context.layer('lower'), ...entries)
      await context.within(made, (root) => context.sameTree(oracle, root, rootIsOwn))
    },
  },
  {
    name: 'set-id-bits',
    title: 'set-user-id, set-group-id and sticky bits are there although the owner is not root',
    seen: 'chown(2) clears the bits',
    needs: anyOwner,
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'suid', mode: 0o4755, uid: 1000, gid: 1000, data: 'x' },
        { name: 'sgid', mode: 0o2755, uid: 1000, gid: 1000, data: 'x' },
        { name: 'both', mode: 0o6711, uid: 1000, gid: 1000, data: 'x' },
        { name: 'link', type: '1', link: 'suid', mode: 0o4755, uid: 1000, gid: 1000 },
        { name: 'sticky/', mode: 0o1777, uid: 1000, gid: 1000 },
        { name: 'group/', mode: 0o2775, uid: 1000, gid: 1000 },
      )
      const wanted = { suid: '4755', sgid: '2755', both: '6711', link: '4755', sticky: '1777', group: '2775' }
      await context.within(made, async (root) => {
        for (const [name, mode] of Object.entries(wanted))
          assert.equal(dress(root, name), `${mode} 1000:1000`, name)
      })
    },
  },
  {
    name: 'umask',
    title: 'the umask of the process does not narrow what a tar says',
    needs: unixModes,
    async run(context) {
      const before = process.umask(0o077)
      try {
        await appliedLayer(
          context,
          'made',
          undefined,
          { name: 'd/', mode: 0o777 },
          { name: 'd/f', mode: 0o666 },
          { name: 'i/f' },
        )
      } finally {
        process.umask(before)
      }
      await context.within(context.id('made'), async (root) => {
        const modes = ['d', 'd/f', 'i'].map((name) =>
          (lstatSync(`${root}/${name}`).mode & 0o7777).toString(8),
        )
        assert.deepEqual(modes, ['777', '666', '755'])
      })
    },
  },
  {
    name: 'type-bits-in-mode',
    title: 'file type bits in the mode field are not taken for permissions',
    seen: 'moby writes them',
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'd/', mode: 0o040_755 },
        { name: 'd/f', mode: 0o100_640, data: 'f' },
        { name: 's', type: '2', link: 'd', mode: 0o120_777 },
      )
      await context.within(made, async (root) => {
        assert.deepEqual(listing(root), ['d/', 'd/f "f"', 's -> d'])
        assert.deepEqual([dress(root, 'd'), dress(root, 'd/f')], ['0755 0:0', '0640 0:0'])
      })
    },
  },
  {
    name: 'symlink-targets-verbatim',
    title: 'the target of a symbolic link is kept as it is written, wherever it points',
    async run(context) {
      const targets = ['/etc/passwd', '../../../outside', 'nowhere/./x//y/', '.', '/proc/self/root']
      await makesOf(
        context,
        targets.map((target, index) => ({ name: `l${index}`, type: '2', link: target })),
        targets.map((target, index) => `l${index} -> ${target}`),
      )
    },
  },
  {
    name: 'names-of-any-bytes',
    title: 'a name is bytes, and stays them where they are not UTF-8',
    needs: anyNames,
    async run(context) {
      const name = Buffer.from('caf\u{e9} \u{ff}\u{80} \\ \n "', 'latin1')
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name, data: 'x' },
        { name: 'l', type: '2', link: name },
      )
      const shown = name.toString('latin1')
      assert.deepEqual(await context.within(made, listing), [`${shown} "x"`, `l -> ${shown}`])
    },
  },
  {
    name: 'impossible-name',
    title: 'a name that no file can have here is refused as that, naming the entry',
    needs: unicodeNames,
    async run(context) {
      const impossible = ['name:stream', 'd/a:b', Buffer.from('caf\u{e9}', 'latin1')]
      for (const [index, name] of impossible.entries()) {
        const lower = context.id(`lower${index}`)
        await context.driver.create(lower)
        const entries = [{ name: 'name' }, { name: 'd', type: '5' }, { name, data: 'x' }] as const
        const shown = Buffer.from(name).toString()
        await assert.rejects(
          context.driver.applyDiff(lower, undefined, inChunks(rawTar(...entries))),
          namesEntry(shown, 'GD_ARCHIVE_UNSUPPORTED'),
        )
        assert.deepEqual(await context.within(lower, listing), ['d/', 'name ""'])
      }
    },
  },
  {
    name: 'xattrs',
    title: 'extended attributes of a tar are stored, and file capabilities survive the change of owner',
    requires: [{ root: true }, { command: 'getfattr', package: 'attr' }],
    needs: ({ xattrs }) => (xattrs === 'none' ? 'extended attributes are not kept here' : undefined),
    async run(context) {
      const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
      const entry: RawEntry = {
        name: 'ping',
        mode: 0o755,
        uid: 1,
        gid: 1,
        data: 'x',
        pax: { 'SCHILY.xattr.security.capability': capability },
      }
      const made = await appliedLayer(context, 'made', await context.layer('lower'), entry)
      const [found] = await context.within(made, (root) => readXattrs(root))
      assert.equal(found.get('ping')?.['security.capability'], `0x${capability.toString('hex')}`)
    },
  },
  {
    name: 'large-file',
    title: 'a file of many chunks has every byte of its entry',
    async run(context) {
      const data = contentBytes({ bytes: 9_000_001, seed: 7 })
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'before', data: 'b' },
        { name: 'f', data },
        { name: 'g', data: 'g' },
      )
      await context.within(made, (root) => {
        assert(readFileSync(`${root}/f`).equals(data), 'other bytes')
        assert.equal(readFileSync(`${root}/g`, 'utf8'), 'g')
      })
    },
  },
  {
    name: 'many-entries',
    title: 'a tar of thousands of entries is applied whole',
    async run(context) {
      const entries = Array.from({ length: 2500 }, (_, index): RawEntry => ({
        name: `d${index % 70}/f${index}`,
        data: String(index),
      }))
      const made = await appliedLayer(context, 'made', undefined, ...entries)
      await context.within(made, (root) => {
        for (const { name, data = '' } of entries)
          assert.equal(readFileSync(`${root}/${name.toString()}`, 'utf8'), data.toString())
      })
    },
  },
  {
    name: 'implied-directories',
    title: 'directories that a tar leaves out are made for root with mode 0755',
    seen: 'moby #44395: they had mode 0600',
    async run(context) {
      for (const parent of [undefined, await context.layer('lower')]) {
        const made = await appliedLayer(context, `on-${parent ?? 'nothing'}`, parent, {
          name: 'a/b/f',
          mode: 0o600,
          uid: 1,
          gid: 1,
        })
        await context.within(made, async (root) => {
          assert.deepEqual(listing(root), ['a/', 'a/b/', 'a/b/f ""'])
          assert.deepEqual([dress(root, 'a'), dress(root, 'a/b')], ['0755 0:0', '0755 0:0'])
        })
      }
    },
    needs: anyOwner,
  },
  {
    name: 'lower-directories-as-they-are',
    title: 'directories that a tar leaves out keep the mode and owner that they have in the layer below',
    seen: 'a layer with tmp/f and no tmp/ takes the sticky bit from /tmp',
    needs: anyOwner,
    async run(context) {
      const recipe = [
        directory('tmp', { mode: 0o1777, uid: 3, gid: 4 }),
        directory('tmp/d', { mode: 0o700 }),
        file('tmp/d/gone'),
      ]
      const base = await context.layer('base', undefined, recipe)
      const middle = await context.layer('middle', base)
      const upper = await appliedLayer(
        context,
        'upper',
        middle,
        { name: 'tmp/f' },
        { name: 'tmp/d/.wh.gone' },
      )
      await context.within(upper, async (root) => {
        assert.deepEqual(listing(root), ['tmp/', 'tmp/d/', 'tmp/f ""'])
        assert.deepEqual([dress(root, 'tmp'), dress(root, 'tmp/d')], ['1777 3:4', '0700 0:0'])
      })
    },
  },
  {
    name: 'directory-over-directory',
    title: 'an entry for a directory that is there keeps its content and gives it mode, owner and time',
    needs: anyOwner,
    async run(context) {
      const lower = await context.layer('lower', undefined, treeWithContent)
      const entry: RawEntry = { name: 'x/', mode: 0o2711, uid: 5, gid: 6, mtime: '1234567890.5' }
      const upper = await appliedLayer(context, 'upper', lower, entry, { name: 'x/new', data: 'n' })
      await context.within(upper, async (root) => {
        const seen = ['x/', 'x/deep/', 'x/deep/f "x/deep/f"', 'x/new "n"', 'x/old "old"']
        assert.deepEqual(listing(root), seen)
        assert.equal(dress(root, 'x'), '2711 5:6')
        assert.equal(Math.floor(lstatSync(`${root}/x`).mtimeMs / 1000), 1_234_567_890)
      })
    },
  },
  {
    name: 'directory-time-last',
    title: 'a directory has the time of its entry, whatever the tar puts into it afterwards',
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        await context.layer('lower', undefined, [directory('d'), file('d/gone')]),
        { name: 'd/', mtime: '1000000000' },
        { name: 'e/', mtime: '1100000000' },
        { name: 'd/f' },
        { name: 'e/d/', mtime: '1200000000' },
        { name: 'd/.wh.gone' },
        { name: 'e/d/f' },
      )
      await context.within(made, (root) => {
        const times = ['d', 'e', 'e/d'].map((name) => lstatSync(`${root}/${name}`).mtimeMs / 1e3)
        assert.deepEqual(times, [1_000_000_000, 1_100_000_000, 1_200_000_000])
      })
    },
  },
  {
    name: 'hidden-stays-hidden',
    title: 'a directory in the place of a file shows nothing of the directory that the file replaced',
    async run(context) {
      const base = await context.layer('base', undefined, treeWithContent)
      const middle = await appliedLayer(context, 'middle', base, { name: 'x', data: 'file' })
      const upper = await appliedLayer(context, 'upper', middle, { name: 'x/' }, { name: 'x/new', data: 'n' })
      assert.deepEqual(await context.within(upper, listing), ['x/', 'x/new "n"'])
    },
  },
  {
    name: 'last-of-duplicates',
    title: 'of several entries of one name the last counts',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'f', data: 'a longer first' },
        { name: 'd', data: 'file' },
        { name: 'f', data: 'last', mode: 0o600 },
        { name: 'd/' },
        { name: 'd/x' },
        { name: 'e/x' },
        { name: 'e', data: 'file' },
      ]
      await makesOf(context, entries, ['d/', 'd/x ""', 'e "file"', 'f "last"'])
    },
  },
  {
    name: 'hard-links',
    title: 'hard links within a tar are names of one file',
    seen: 'moby hardlinks survive',
    needs: hardLinks,
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'd/' },
        { name: 'd/f', data: 'content' },
        { name: 'a', type: '1', link: 'd/f' },
        { name: 'e/b', type: '1', link: './d//f' },
        { name: 'e/c', type: '1', link: '/a' },
      ]
      await makesOf(context, entries, ['a "content"', 'd/', 'd/f = a', 'e/', 'e/b = a', 'e/c = a'])
    },
  },
  {
    name: 'hard-link-has-the-last-word',
    title: 'the entry of a hard link says owner and mode of the file, under all of its names',
    needs: anyOwner,
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'first', data: 'content', mode: 0o644 },
        { name: 'second', type: '1', link: 'first', mode: 0o600, uid: 1000, gid: 1001 },
      )
      await context.within(made, (root) => {
        for (const name of ['first', 'second']) assert.equal(dress(root, name), '0600 1000:1001', name)
      })
    },
  },
  {
    name: 'hard-link-to-symlink',
    title: 'a hard link to a symbolic link is a second name of the link itself',
    seen: 'moby: hardlink to symlink before its target',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'symlink1', type: '2', link: 'regular' },
        { name: 'symlink2', type: '1', link: 'symlink1' },
        { name: 'regular', data: 'content' },
      ]
      await makesOf(context, entries, ['regular "content"', 'symlink1 -> regular', 'symlink2 = symlink1'])
    },
  },
  {
    name: 'hard-link-to-lower-file',
    title: 'a hard link to a file of the layer below is refused by name, or has its content',
    async run(context) {
      const lower = await context.layer('lower', undefined, [directory('d'), file('d/f', 'content')])
      const { driver, id } = context
      await driver.create(id('upper'), { parent: lower })
      const stream = inChunks(rawTar({ name: 'h', type: '1', link: 'd/f' }))
      try {
        await driver.applyDiff(id('upper'), lower, stream)
      } catch (error) {
        namesEntry('h', 'GD_ARCHIVE_INVALID')(error)
        return
      }
      await context.within(id('upper'), (root) => assert.equal(readFileSync(`${root}/h`, 'utf8'), 'content'))
    },
  },
  {
    name: 'hard-link-before-target',
    title: 'a hard link that comes before its target is an error that names it',
    async run(context) {
      const { driver, id } = context
      await driver.create(id('layer'))
      const stream = inChunks(rawTar({ name: 'h', type: '1', link: 'f' }, { name: 'f', data: 'late' }))
      await assert.rejects(
        driver.applyDiff(id('layer'), undefined, stream),
        namesEntry('h', 'GD_ARCHIVE_INVALID'),
      )
    },
  },
  {
    name: 'replaced-name-of-a-linked-file',
    title: 'a file that replaces one name of a linked file leaves the other name its content',
    needs: hardLinks,
    async run(context) {
      const lower = await context.layer('lower', undefined, [file('a', 'old'), link('b', 'a')])
      const upper = await appliedLayer(context, 'upper', lower, { name: 'a', data: 'new' })
      assert.deepEqual(await context.within(upper, listing), ['a "new"', 'b "old"'])
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'a', data: 'old' },
        { name: 'b', type: '1', link: 'a' },
        { name: 'a', data: 'new' },
      )
      assert.deepEqual(await context.within(made, listing), ['a "new"', 'b "old"'])
    },
  },
  {
    name: 'path-through-lower-symlink',
    title: 'a path through a symbolic link of the layer below lands where the link leads within the layer',
    seen: 'images with /lib -> /usr/lib and entries below lib/',
    async run(context) {
      await upon(
        context,
        [
          directory('usr'),
          directory('usr/lib'),
          file('usr/lib/old', 'old'),
          symlink('lib', '/usr/lib'),
          symlink('lib64', 'usr/lib'),
          symlink('up', '../../../usr'),
          symlink('run', '/var/run'),
        ],
        [
          { name: 'lib/a', data: 'a' },
          { name: 'lib64/b', data: 'b' },
          { name: 'up/lib/c', data: 'c' },
          { name: 'run/pid', data: 'p' },
        ],
        [
          'lib -> /usr/lib',
          'lib64 -> usr/lib',
          'run -> /var/run',
          'up -> ../../../usr',
          'usr/',
          'usr/lib/',
          'usr/lib/a "a"',
          'usr/lib/b "b"',
          'usr/lib/c "c"',
          'usr/lib/old "old"',
          'var/',
          'var/run/',
          'var/run/pid "p"',
        ],
      )
    },
  },
  {
    name: 'path-through-own-symlink',
    title: 'a path through a symbolic link of the same tar lands where the link then leads',
    async run(context) {
      await makesOf(
        context,
        [
          { name: 'one/' },
          { name: 'two/' },
          { name: 'way', type: '2', link: '/one' },
          { name: 'way/a', data: '1' },
          { name: 'way', type: '2', link: 'two' },
          { name: 'way/a', data: '2' },
        ],
        ['one/', 'one/a "1"', 'two/', 'two/a "2"', 'way -> two'],
      )
    },
  },
  {
    name: 'ordinary-names-with-dots',
    title: 'names that only begin with two dots are ordinary names',
    seen: 'moby: a file named ..gitme',
    needs: unixNames,
    async run(context) {
      const entries = [{ name: '..gitme' }, { name: '.../f' }, { name: 'd/..x' }, { name: 'd/x..' }]
      await makesOf(context, entries, ['.../', '.../f ""', '..gitme ""', 'd/', 'd/..x ""', 'd/x.. ""'])
    },
  },
  {
    name: 'names-in-other-spellings',
    title: 'leading ./ and /, doubled slashes, and . and .. within a name mean the same name',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: './' },
        { name: './a/' },
        { name: './/a//b', data: 'b' },
        { name: '/c', data: 'c' },
        { name: 'a/./d', data: 'd' },
        { name: 'a/../e', data: 'e' },
        { name: 'f/', type: '5' },
        { name: 'g', type: '5' },
      ]
      await makesOf(context, entries, ['a/', 'a/b "b"', 'a/d "d"', 'c "c"', 'e "e"', 'f/', 'g/'])
    },
  },
  {
    name: 'root-entry',
    title: 'entries for the root itself remove nothing and leave it a directory',
    async run(context) {
      await upon(
        context,
        [directory('d'), file('d/f', 'f')],
        [{ name: './' }, { name: 'g', data: 'g' }, { name: '/', type: '5' }, { name: './' }],
        ['d/', 'd/f "f"', 'g "g"'],
      )
    },
  },
  {
    name: 'child-of-applied',
    title: 'a child of an applied layer starts as that: with what it added and without what it removed',
    async run(context) {
      const lower = await context.layer('lower', undefined, [
        directory('d'),
        file('d/gone'),
        file('d/kept', 'k'),
      ])
      const entries = [{ name: 'd/.wh.gone' }, { name: 'd/new', data: 'n' }]
      const upper = await appliedLayer(context, 'upper', lower, ...entries)
      const child = await context.writable('child', upper)
      assert.deepEqual(await context.within(child, listing), ['d/', 'd/kept "k"', 'd/new "n"'])
      await context.within(upper, (root) => context.within(child, (shown) => context.sameTree(root, shown)))
    },
  },
  {
    name: 'ten-layers',
    title: 'ten layers that are applied one upon the other show at each level what they add up to',
    async run(context) {
      let parent: LayerId | undefined
      for (let level = 0; level < 10; level++) {
        parent = await appliedLayer(
          context,
          `level${level}`,
          parent,
          { name: 'd/' },
          { name: `d/own${level}`, data: String(level) },
          { name: 'd/top', data: String(level) },
          ...(level < 2 ? [] : [{ name: `d/.wh.own${level - 2}` }]),
        )
        const own = [level - 1, level]
          .filter((index) => index >= 0)
          .map((index) => `d/own${index} "${index}"`)
        assert.deepEqual(await context.within(parent, listing), ['d/', ...own, `d/top "${level}"`])
      }
    },
  },
]
