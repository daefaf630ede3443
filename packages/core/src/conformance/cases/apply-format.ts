/** The forms in which a tar says what does not fit into its header. */
import assert from 'node:assert/strict'
import { closeSync, lstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import type { CaseBody } from '../case.ts'
import { patched } from '../tar/patched-header.ts'
import { entryBlocks, inChunks, type RawEntry } from '../tar/raw-tar.ts'
import { dress, listing } from '../tree/listing.ts'
import { appliedLayer, endMarker, makes, makesOf } from './applied-layer.ts'
import { anyOwner, unixModes } from './needs.ts'

export const formats: readonly CaseBody[] = [
  {
    name: 'pax-global-header',
    title: 'a PAX global header makes no file and no directory, and changes no entry',
    seen: 'moby: global headers create nothing',
    needs: unixModes,
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'nothing/pax_global_header', type: 'g', pax: { comment: 'of git archive', uid: '77' } },
        { name: 'f', data: 'f' },
        { name: 'nothing/again', type: 'g', pax: { path: 'other' } },
        { name: 'g', data: 'g' },
      ]
      await makesOf(context, entries, ['f "f"', 'g "g"'])
      assert.equal(await context.within(context.id('alone'), (root) => dress(root, 'f')), '0644 0:0')
    },
  },
  {
    name: 'ustar-prefix',
    title: 'the prefix field of a ustar header is the beginning of the name',
    seen: 'moby: ustar prefix',
    async run(context) {
      const prefix = `${'p'.repeat(80)}/${'q'.repeat(60)}`
      const bytes = Buffer.concat([patched({ name: 'name', data: 'x' }, 345, Buffer.from(prefix)), endMarker])
      const [top = '', below = ''] = prefix.split('/')
      await makes(context, () => inChunks(bytes), [`${top}/`, `${top}/${below}/`, `${prefix}/name "x"`])
    },
  },
  {
    name: 'gnu-long-names',
    title: 'GNU long names and long link targets are read whole',
    async run(context) {
      const [name, target] = [
        `${'n'.repeat(130)}/${'m'.repeat(130)}`,
        `${'t'.repeat(150)}/${'u'.repeat(150)}`,
      ]
      const long = (type: string, text: string): RawEntry => ({
        name: '././@LongLink',
        type,
        data: `${text}\0`,
      })
      const entries: readonly RawEntry[] = [
        long('L', name),
        { name: name.slice(0, 100), data: 'x' },
        long('K', target),
        { name: 's', type: '2', link: target.slice(0, 100) },
        long('L', `z${name}`),
        long('K', name),
        { name: `z${name}`.slice(0, 100), type: '1', link: name.slice(0, 100) },
      ]
      const [directoryName = ''] = name.split('/')
      await makesOf(context, entries, [
        `${directoryName}/`,
        `${name} "x"`,
        `s -> ${target}`,
        `z${directoryName}/`,
        `z${name} = ${name}`,
      ])
    },
  },
  {
    name: 'pax-long-names',
    title: 'PAX records for the path and the link target take the place of the fields in the header',
    async run(context) {
      const [name, target] = ['n'.repeat(200), `${'t'.repeat(200)}/${'u'.repeat(200)}`]
      const entries: readonly RawEntry[] = [
        { name: 'short', data: 'x', pax: { path: name } },
        { name: 's', type: '2', link: 'short', pax: { linkpath: target } },
        { name: 'h', type: '1', link: 'short', pax: { linkpath: name } },
      ]
      await makesOf(context, entries, ['h "x"', `${name} = h`, `s -> ${target}`])
    },
  },
  {
    name: 'pax-numbers',
    title: 'PAX records for size, owner and time take the place of the fields in the header',
    needs: anyOwner,
    async run(context) {
      const pax = { size: '7', uid: '3000000', gid: '4000000', mtime: '1000000000.5' }
      // The header itself says that nothing follows.
      const whole = entryBlocks({ name: 'f', data: 'content', pax })
      const [records, content] = [whole.subarray(0, 1024), whole.subarray(1536)]
      const bytes = Buffer.concat([
        records,
        entryBlocks({ name: 'f', uid: 1, mtime: '5' }),
        content,
        endMarker,
      ])
      await context.driver.create(context.id('made'))
      await context.driver.applyDiff(context.id('made'), undefined, inChunks(bytes))
      await context.within(context.id('made'), async (root) => {
        assert.deepEqual(listing(root), ['f "content"'])
        assert.equal(dress(root, 'f'), '0644 3000000:4000000')
        assert.equal(Math.floor(lstatSync(`${root}/f`).mtimeMs / 1000), 1_000_000_000)
      })
    },
  },
  {
    name: 'base-256-numbers',
    title: 'numbers in base 256, as GNU tar writes large ones, are read',
    needs: anyOwner,
    async run(context) {
      const number = (value: number, length: number): Buffer => {
        const bytes = Buffer.alloc(length)
        bytes.writeUIntBE(value, length - 6, 6)
        bytes[0] = 0x80
        return bytes
      }
      const fields = Buffer.concat([
        number(3_000_000, 8),
        number(4_000_000, 8),
        number(7, 12),
        number(1_000_000_000, 12),
      ])
      const bytes = Buffer.concat([patched({ name: 'f', data: 'content' }, 108, fields), endMarker])
      await makes(context, () => inChunks(bytes), ['f "content"'])
      await context.within(context.id('alone'), async (root) => {
        assert.equal(dress(root, 'f'), '0644 3000000:4000000')
        assert.equal(lstatSync(`${root}/f`).mtimeMs, 1e12)
      })
    },
  },
  {
    name: 'sparse-file',
    title:
      'a sparse file of 9 GiB has its size, its data where they belong, and takes no more space than those',
    async run(context) {
      const gib = 1024 ** 3
      const map = `2\n${4 * gib + 7}\n5\n${9 * gib}\n0\n`
      const data = Buffer.concat([Buffer.from(map), Buffer.alloc(512 - map.length), Buffer.from('there')])
      const pax = {
        'GNU.sparse.major': '1',
        'GNU.sparse.minor': '0',
        'GNU.sparse.name': 'sparse',
        'GNU.sparse.realsize': String(9 * gib),
      }
      const entries: readonly RawEntry[] = [
        { name: 'GNUSparseFile.0/sparse', data, pax },
        { name: 'z', data: 'z' },
      ]
      const made = await appliedLayer(context, 'made', undefined, ...entries)
      await context.within(made, (root) => {
        const { size, blocks } = statSync(`${root}/sparse`)
        assert.equal(size, 9 * gib)
        assert(blocks * 512 < 64 * 1024 * 1024, `${blocks} blocks are allocated`)
        const [fd, found] = [openSync(`${root}/sparse`, 'r'), Buffer.alloc(7)]
        readSync(fd, found, 0, 7, 4 * gib + 6)
        closeSync(fd)
        assert.equal(found.toString(), '\0there\0')
        assert.equal(readFileSync(`${root}/z`, 'utf8'), 'z')
      })
    },
  },
]
