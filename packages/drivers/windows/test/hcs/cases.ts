/** What the engine for Windows does on the double. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import windows from '@graphdriver/windows'
import {
  base,
  deleted,
  diffOf,
  directory,
  file,
  type HcsCase,
  id,
  image,
  link,
  once,
  rejection,
  shown,
  within,
} from './case.ts'
import { failureCases } from './failure-cases.ts'
import { traceCases } from './trace-cases.ts'
import { utilityVmCases } from './utility-vm-cases.ts'

/** To show a layer, and to hide it. */
const showingCalls = {
  vmcompute: ['ActivateLayer', 'PrepareLayer', 'UnprepareLayer', 'DeactivateLayer'],
  computestorage: [
    'AttachVirtualDisk',
    'HcsAttachLayerStorageFilter',
    'HcsDetachLayerStorageFilter',
    'DetachVirtualDisk',
  ],
} as const

export const cases: readonly HcsCase[] = [
  {
    name: 'says that it can serve, and by what',
    async run({ root, home, api }) {
      assert.deepEqual(await windows.probe({ root, home, options: { api } }), {
        supported: true,
        notes: [`layers by Windows’ own calls (${api}.dll)`],
      })
      assert.equal(existsSync(root), false)
    },
  },
  {
    name: 'a base layer comes out as it went in',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      assert.deepEqual(shown(await diffOf(driver, 'base', undefined)), shown(base))
      assert.equal(readFileSync(path.join(context.home, 'base', 'layerchain.json'), 'utf8'), 'null')
      assert.equal(await driver.diffSize(id('base'), undefined), 11)
    },
  },
  {
    name: 'extended attributes, further streams, links and descriptors go in and come out',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      const rich = [
        directory('Files'),
        {
          ...file('Files/rich', 'data', {
            security: Buffer.from('0100048014000000000000000000000000000000', 'hex'),
            extendedAttributes: [['EA', Buffer.from([1, 0, 2])]],
          }),
          streams: [
            ['one', Buffer.from('first')],
            ['two', Buffer.alloc(0)],
          ],
        } as const,
        file('Files/link', '', {
          attributes: 0x420,
          reparsePoint: { kind: 'symlink', target: 'app\\a.txt' },
        }),
        file('Files/mount', '', {
          attributes: 0x410,
          reparsePoint: { kind: 'mount-point', target: 'C:\\app' },
        }),
      ]
      await image(driver, 'child', 'base', ...rich)
      const found = new Map((await diffOf(driver, 'child', 'base')).map((entry) => [entry.name, entry]))
      for (const entry of rich.slice(1)) {
        const one = found.get(entry.name)
        assert.deepEqual(
          [
            one?.content,
            one?.streams,
            one?.file?.attributes,
            one?.file?.security,
            one?.file?.extendedAttributes,
            one?.file?.reparsePoint,
          ],
          [
            entry.content,
            entry.streams,
            entry.file?.attributes,
            entry.file?.security,
            entry.file?.extendedAttributes,
            entry.file?.reparsePoint,
          ],
          entry.name,
        )
      }
    },
  },
  {
    name: 'a child has what it adds, without what it deletes, and further names of files below',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      await image(
        driver,
        'child',
        'base',
        directory('Files'),
        file('Files/c', 'ccc'),
        deleted('Files/b'),
        link('Files/again', 'Files/app/a.txt'),
        link('Files/c2', 'Files/c'),
      )
      assert.deepEqual(shown(await diffOf(driver, 'child', 'base')), [
        'file Files',
        'file Files/again "hello"',
        'file Files/c "ccc"',
        'file Files/c2 "ccc"',
        'remove Files/b',
        'file Hives',
        'file Hives/System_Delta ""',
      ])
      const chain: unknown = JSON.parse(
        readFileSync(path.join(context.home, 'child', 'layerchain.json'), 'utf8'),
      )
      assert.deepEqual(chain, [path.join(context.home, 'base')])
    },
  },
  {
    name: 'what is written in a container’s layer is its diff, and can be a layer',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      await driver.createReadWrite(id('container'), { parent: id('base') })
      await within(driver, 'container', async (root) => {
        writeFileSync(path.join(root, 'new'), 'new')
        writeFileSync(path.join(root, 'app', 'a.txt'), 'hello!')
        rmSync(path.join(root, 'b'))
        mkdirSync(path.join(root, 'd'))
        const whileMounted = shown(await diffOf(driver, 'container', 'base'))
        assert.deepEqual(
          whileMounted.filter((line) => !line.includes('Hives')),
          [
            'file Files',
            'file Files/app',
            'file Files/app/a.txt "hello!"',
            'file Files/d',
            'file Files/new "new"',
            'remove Files/b',
          ],
        )
        assert.deepEqual(readdirSync(root).toSorted(), ['app', 'd', 'new'])
        assert.equal(context.held().length, 2, 'active, and its filter attached again')
      })
      const changes = await driver.changes(id('container'), id('base'))
      assert(changes.some(({ path: changed, kind }) => changed === '/Files/b' && kind === 'delete'))
      assert(changes.some(({ path: changed, kind }) => changed === '/Files/new' && kind === 'modify'))
      await driver.create(id('copy'), { parent: id('base') })
      await driver.applyDiff(id('copy'), id('base'), driver.diff(id('container'), id('base')))
      await driver.createReadWrite(id('again'), { parent: id('copy') })
      await within(driver, 'again', async (root) => {
        assert.deepEqual(readdirSync(root).toSorted(), ['app', 'd', 'new'])
        assert.equal(readFileSync(path.join(root, 'app', 'a.txt'), 'utf8'), 'hello!')
      })
    },
  },
  {
    name: 'a layer is shown once however often it is asked for, and hidden with the last',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      await driver.createReadWrite(id('container'), { parent: id('base') })
      const before = context.calls()
      const mounts = await Promise.all([1, 2, 3].map(() => driver.get(id('container'))))
      assert.equal(new Set(mounts.map(({ path: at }) => at)).size, 1)
      for (const mount of mounts) await mount[Symbol.asyncDispose]()
      const made = context.callsAfter(before)
      for (const call of showingCalls[context.api])
        assert.equal(made.filter((one) => one === call).length, 1, call)
      assert.deepEqual(context.held(), [])
      await driver.put(id('container'))
      await driver.put(id('unknown'))
    },
  },
  {
    name: 'a size goes to the disk of a container’s layer, and nothing else is an option',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      const parent = id('base')
      await driver.createReadWrite(id('container'), { parent, storageOptions: { size: '30G' } })
      const expansion = { vmcompute: 'ExpandSandboxSize', computestorage: 'ExpandVirtualDisk' } as const
      const expanded = context.calls().find(({ call }) => call === expansion[context.api])
      assert.equal(expanded?.['size'], String(30 * 1024 ** 3))
      for (const storageOptions of [{ size: 'much' }, { inodes: '5' }, { other: 'x' }]) {
        const error = await rejection(driver.createReadWrite(id('other'), { parent, storageOptions }))
        assert.equal(error.code, 'GD_INVALID_OPTION')
      }
      assert.equal(
        (await rejection(driver.create(id('image'), { storageOptions: { size: '1G' } }))).code,
        'GD_INVALID_OPTION',
      )
      assert.deepEqual(context.folders(), ['base', 'container'])
    },
  },
  {
    // Wine calls itself build 18362, on which Windows' own call leaves the volume as it was.
    name: 'the volume on a disk that grew grows with it',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      const parent = id('base')
      const extended = (): readonly unknown[] =>
        context
          .calls()
          .filter(({ call }) => call === 'FSCTL_EXTEND_VOLUME')
          .map(({ layer, sectors }) => [layer, sectors])
      // The double's volume is as large as the filesystem that this runs on, which is between these.
      await driver.createReadWrite(id('small'), { parent, storageOptions: { size: '1M' } })
      assert.deepEqual(extended(), [])
      await driver.createReadWrite(id('large'), { parent, storageOptions: { size: '4P' } })
      const large = [path.join(context.home, 'large'), String(1024 ** 5 * (4 / 512))]
      assert.deepEqual(extended(), [large])
      assert.deepEqual(context.held(), [])
      await within(
        driver,
        'large',
        () => driver.setQuota?.(id('large'), { size: 1024 ** 5 * 5 }) ?? assert.fail(),
      )
      assert.equal(extended().length, 2)
      assert.deepEqual(context.held(), [])
    },
  },
  {
    name: 'ids that are taken and layers that are not there are told of by their codes',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      const missing = { parent: id('missing') }
      const codes = await Promise.all([
        rejection(driver.create(id('base'))),
        rejection(driver.create(id('x'), missing)),
        rejection(driver.createReadWrite(id('x'), missing)),
        rejection(driver.createReadWrite(id('x'))),
        rejection(driver.get(id('missing'))),
        rejection(driver.metadata(id('missing'))),
        rejection(driver.applyDiff(id('missing'), undefined, once(Buffer.alloc(1024)))),
        rejection(driver.changes(id('missing'), undefined)),
        rejection(diffOf(driver, 'base', 'base')),
      ])
      const notFound = 'GD_LAYER_NOT_FOUND'
      assert.deepEqual(
        codes.map(({ code }) => code),
        [
          'GD_LAYER_EXISTS',
          notFound,
          notFound,
          notFound,
          notFound,
          notFound,
          notFound,
          notFound,
          'GD_ARCHIVE_UNSUPPORTED',
        ],
      )
      assert.deepEqual(context.folders(), ['base'])
      await driver.remove(id('missing'))
      assert.equal(await driver.exists(id('missing')), false)
      assert.equal(await driver.exists(id('base')), true)
      assert.deepEqual(await Array.fromAsync(driver.layers()), ['base'])
      assert.deepEqual(await driver.metadata(id('base')), { dir: path.join(context.home, 'base') })
    },
  },
  {
    name: 'a layer that is mounted is removed, and what is left of a removal goes when the home is opened',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      await driver.createReadWrite(id('container'), { parent: id('base') })
      await driver.get(id('container'))
      await driver.remove(id('container'))
      assert.deepEqual([context.held(), context.folders()], [[], ['base']])
      const destroying = { vmcompute: 'DestroyLayer', computestorage: 'HcsDestroyLayer' } as const
      await context.failing(`${destroying[context.api]}=80070020`, () => rejection(driver.remove(id('base'))))
      assert.deepEqual(context.folders(), ['base-removing'])
      assert.deepEqual(await Array.fromAsync(driver.layers()), [])
      await context.open()
      assert.deepEqual(context.folders(), [])
    },
  },
  {
    name: 'a tar that Windows could not have is refused, and leaves no temporary folder',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      const temporary = (): readonly string[] =>
        readdirSync(process.env['TEMP'] ?? 'C:\\').filter((name) => name.startsWith('hcs'))
      const refused = [
        [deleted('Hives/System_Delta')],
        [directory('Files'), link('Files/a', 'Files/none')],
        [directory('Files'), link('Other/a', 'Files/b')],
        [file('UtilityVM/Files/a', 'x')],
      ] as const
      for (const [index, entries] of refused.entries()) {
        const error = await rejection(image(driver, `child${index}`, 'base', ...entries))
        assert.equal(error.code, 'GD_ARCHIVE_INVALID', String(index))
        await driver.remove(id(`child${index}`))
      }
      assert.equal(
        (await rejection(image(driver, 'other', undefined, deleted('Files/b')))).code,
        'GD_ARCHIVE_INVALID',
      )
      await driver.remove(id('other'))
      assert.deepEqual([temporary(), context.folders(), context.held()], [[], ['base'], []])
    },
  },
  {
    name: 'paths of more than 260 characters are written and read',
    async run(context) {
      const driver = await context.open()
      const names = Array.from({ length: 6 }, (_, index) => `${'directory'.repeat(6)}${index}`)
      const below = names.map((_, index) => directory(`Files/${names.slice(0, index + 1).join('/')}`))
      const deep = `Files/${names.join('/')}/file`
      await image(driver, 'base', undefined, directory('Files'), ...below, file(deep, 'deep'))
      const found = await diffOf(driver, 'base', undefined)
      assert.equal(found.find(({ name }) => name === deep)?.content.toString(), 'deep')
    },
  },
  ...utilityVmCases,
  ...failureCases,
  ...traceCases,
]
