/** Layers of Windows on a real NTFS: what their tars say goes in and comes out. */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { run } from '@graphdriver/sys'
import { fileAttribute, type LayerEntry, readLayer } from '@graphdriver/windows-layer'
import { describe, expect, test } from 'vitest'
import { base, withoutSecurity } from './sample.ts'
import {
  apply,
  applyTar,
  comparable,
  deleted,
  descriptor,
  diffOf,
  directory,
  file,
  id,
  link,
  missing,
  openOn,
} from './workplace.ts'

describe.skipIf(missing !== undefined)(`Windows layers on NTFS (${missing ?? 'as root'})`, () => {
  test('come out as they went in', async () => {
    await using place = await openOn('ntfs')
    await apply(place.driver, 'base', undefined, ...base)
    expect(comparable(withoutSecurity(await diffOf(place.driver, 'base')))).toEqual(comparable(base))
  })

  test('come out of a child of a child as they went in, short names too', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    await apply(driver, 'base', undefined, ...base)
    {
      await using mount = await driver.get(id('base'))
      await run('setfattr', [
        '-n',
        'system.ntfs_dos_name',
        '-v',
        'NOTEPA~1.EXE',
        `${mount.path}/Files/Windows/notepad.exe`,
      ])
    }
    const before = comparable(await diffOf(driver, 'base'))
    await driver.create(id('child'), { parent: id('base') })
    await driver.createReadWrite(id('container'), { parent: id('child') })
    expect(comparable(await diffOf(driver, 'container'))).toEqual(before)
    expect(await diffOf(driver, 'container', 'base')).toEqual([])
    await using mount = await driver.get(id('container'))
    const { stdout } = await run('getfattr', [
      '--only-values',
      '-n',
      'system.ntfs_dos_name',
      `${mount.path}/Files/Windows/notepad.exe`,
    ])
    expect(stdout).toContain('NOTEPA~1.EXE')
  })

  test.each(['hcsshim-child.tar.gz', 'hcsshim-sandbox.tar.gz'])('as hcsshim wrote it: %s', async (name) => {
    await using place = await openOn('ntfs')
    const tar = gunzipSync(
      readFileSync(new URL(`../../../../windows-layer/test/golden/${name}`, import.meta.url)),
    )
    const told = readLayer([tar]).filter(({ kind }) => kind !== 'remove')
    await applyTar(place.driver, 'base', undefined, tar)
    const found = await diffOf(place.driver, 'base')
    const expected = new Map(comparable(told).map((entry) => [entry.name, entry]))
    expect(found.map((entry) => entry.name).toSorted()).toEqual([...expected.keys()].toSorted())
    for (const entry of comparable(found)) {
      const one = expected.get(entry.name)
      const security = one?.file?.security === undefined ? undefined : entry.file?.security
      expect({ ...entry, file: entry.file && { ...entry.file, security } }).toEqual(one)
    }
  })

  test('another reader of NTFS finds what was put there', async () => {
    await using place = await openOn('ntfs')
    await apply(place.driver, 'base', undefined, ...base)
    const { root } = place
    await using mount = await place.driver.get(id('base'))
    const inVolume = mount.path.slice(root.length)
    // Reads the image itself, without the mount; what is to be written must be there.
    await run('sync', ['--file-system', root])
    const image = `${root.slice(0, -'/mount'.length)}/store/image`
    const info = execFileSync('ntfsinfo', [
      '--force',
      '--file',
      `${inVolume}/Files/Windows/notepad.exe`,
      image,
    ]).toString()
    expect(info).toMatch(/READONLY HIDDEN ARCHIVE|READ_ONLY HIDDEN ARCHIVE/)
    expect(info).toContain('Zone.Identifier')
    expect(info).toMatch(/EA_INFORMATION/)
    const streams = execFileSync('ntfscat', [
      '--force',
      '--attribute-name',
      'Zone.Identifier',
      image,
      `${inVolume}/Files/Windows/notepad.exe`,
    ])
    expect(streams.toString()).toBe('[ZoneTransfer]')
  })

  test('a child replaces, deletes and adds, in whatever case the names are spelled', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    await apply(driver, 'base', undefined, ...base)
    const change = [
      directory('Files'),
      directory('FILES/windows'),
      file('files/WINDOWS/Notepad.EXE', { content: 'new', attributes: fileAttribute.archive }),
      deleted('files/LINK'),
      file('Files/mount', { content: 'a file now' }),
      link('Files/again', 'files/windows/LINKED'),
      file('Files/Windows/ßtraße', { content: 'x' }),
    ]
    await apply(driver, 'child', 'base', ...change)
    const found = await diffOf(driver, 'child', 'base')
    expect(found.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'file Files',
      'file Files/Windows',
      // What is there keeps its spelling, as on Windows.
      'file Files/Windows/notepad.exe',
      'file Files/Windows/ßtraße',
      'file Files/again',
      'remove Files/link',
      'file Files/mount',
    ])
    await using mount = await driver.get(id('child'))
    expect(readdirSync(`${mount.path}/Files/Windows`).toSorted()).toEqual(
      ['notepad.exe', 'linked', 'other name', 'ßtraße'].toSorted(),
    )
    expect(readFileSync(`${mount.path}/Files/Windows/notepad.exe`, 'utf8')).toBe('new')
    expect(readFileSync(`${mount.path}/Files/again`, 'utf8')).toBe('linked')
    expect(existsSync(`${mount.path}/Files/Windows/notepad.exe:Zone.Identifier`)).toBe(false)
  })

  test.each([
    ['attributes', { attributes: fileAttribute.archive | fileAttribute.system }],
    ['a security descriptor', { security: descriptor(0x120089) }],
    ['the time it was made', { created: 1_400_000_000_000_000_000n }],
    ['an extended attribute', { extendedAttributes: [['X', Buffer.from('y')]] as const }],
    ['a further stream', { streams: { s: 'other' } }],
  ])('a file that differs in %s alone is a change', async (_, words) => {
    await using place = await openOn('ntfs')
    const plain = file('Files/f', { content: 'same', streams: { s: 'first' } })
    await apply(place.driver, 'base', undefined, directory('Files'), plain, file('Files/g'))
    await apply(
      place.driver,
      'child',
      'base',
      file('Files/f', { content: 'same', streams: { s: 'first' }, ...words }),
    )
    const found = await diffOf(place.driver, 'child', 'base')
    expect(found.map(({ name }) => name)).toEqual(['Files', 'Files/f'])
    expect(found[1]?.file).toMatchObject('streams' in words ? {} : words)
  })

  test('what is written right after a copy counts by its time', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    const names = Array.from({ length: 40 }, (_, index) => `Files/f${index}`)
    await apply(
      driver,
      'base',
      undefined,
      directory('Files'),
      ...names.map((name) => file(name, { content: 'a' })),
    )
    await driver.createReadWrite(id('container'), { parent: id('base') })
    await using mount = await driver.get(id('container'))
    // Of the same size, and by a time that is not now.
    for (const name of names) {
      writeFileSync(`${mount.path}/${name}`, 'b')
      utimesSync(`${mount.path}/${name}`, 1_600_000_000, 1_600_000_000)
    }
    // Longer than the kernel believes what it was told.
    await setTimeout(1500)
    const written = (await diffOf(driver, 'container', 'base')).map((entry) => entry.file?.written)
    expect(written.slice(1)).toEqual(names.map(() => 1_600_000_000_000_000_000n))
  })

  test('a name that changed its spelling only is not deleted', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    await apply(driver, 'base', undefined, directory('Files'), file('Files/readme', { content: 'text' }))
    await driver.createReadWrite(id('container'), { parent: id('base') })
    await using mount = await driver.get(id('container'))
    renameSync(`${mount.path}/Files/readme`, `${mount.path}/Files/README`)
    const found = await diffOf(driver, 'container', 'base')
    expect(found.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['file Files', 'file Files/README'])
  })

  test('what Linux does in a mount becomes what Windows has', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    await apply(driver, 'base', undefined, ...base)
    await driver.createReadWrite(id('container'), { parent: id('base') })
    await using mount = await driver.get(id('container'))
    mkdirSync(`${mount.path}/Files/made`)
    symlinkSync('../Windows/notepad.exe', `${mount.path}/Files/made/link`)
    writeFileSync(`${mount.path}/Files/made/f`, 'text')
    writeFileSync(`${mount.path}/Files/made/f:stream`, 'further')
    appendFileSync(`${mount.path}/Files/Windows/linked`, '!')
    const found = new Map((await diffOf(driver, 'container', 'base')).map((entry) => [entry.name, entry]))
    expect(found.get('Files/made/link')?.file?.reparsePoint).toEqual({
      kind: 'symlink',
      target: '..\\Windows\\notepad.exe',
    })
    expect(found.get('Files/made/f')).toMatchObject({
      content: Buffer.from('text'),
      streams: [['stream', Buffer.from('further')]],
    })
    expect(found.get('Files/Windows/linked')?.content.toString()).toBe('linked!')
    await run('mkfifo', [`${mount.path}/Files/made/pipe`])
    await expect(diffOf(driver, 'container', 'base')).rejects.toMatchObject({
      code: 'GD_ARCHIVE_UNSUPPORTED',
      details: { entry: 'Files/made/pipe' },
    })
  })

  test('a file that is called like a deletion is none, and goes into no layer', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    await apply(driver, 'base', undefined, ...base)
    await driver.createReadWrite(id('container'), { parent: id('base') })
    await using mount = await driver.get(id('container'))
    writeFileSync(`${mount.path}/Files/.wh.Windows`, 'a file like any other')
    const found = await diffOf(driver, 'container', 'base')
    expect(found.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['file Files'])
  })

  test('nothing is written through a link, nor outside', async () => {
    await using place = await openOn('ntfs')
    const { driver, root } = place
    mkdirSync(`${root}/outside`)
    const out = (kind: 'symlink' | 'mount-point'): LayerEntry =>
      file('Files/out', {
        attributes: fileAttribute.reparsePoint | fileAttribute.directory,
        reparsePoint: { kind, target: '..\\..\\..\\..\\outside' },
      })
    for (const kind of ['symlink', 'mount-point'] as const) {
      await apply(driver, `lower-${kind}`, undefined, directory('Files'), out(kind))
      // Until then the kernel takes the new link for the directory that it was made of.
      await setTimeout(1500)
      await expect(
        apply(driver, `upper-${kind}`, `lower-${kind}`, file('Files/out/f', { content: 'x' })),
      ).rejects.toMatchObject({ code: expect.stringMatching(/ELOOP|ENOTDIR/) })
      expect(readdirSync(`${root}/outside`)).toEqual([])
    }
  })

  test('a hard link to nothing is refused by name', async () => {
    await using place = await openOn('ntfs')
    await expect(
      apply(place.driver, 'base', undefined, directory('Files'), link('Files/a', 'Files/b')),
    ).rejects.toMatchObject({ code: 'GD_ARCHIVE_INVALID', details: { entry: 'Files/a' } })
  })

  test('a layer of Windows and one of Linux are told apart by what they are made from', async () => {
    await using place = await openOn('ntfs')
    const { driver } = place
    await apply(driver, 'windows', undefined, ...base)
    await driver.create(id('linux'))
    {
      await using mount = await driver.get(id('linux'))
      mkdirSync(`${mount.path}/Files`)
    }
    const tar = Buffer.concat(
      await Array.fromAsync(driver.diff(id('linux'), undefined), (chunk) => Buffer.from(chunk)),
    )
    expect(tar.toString('latin1')).not.toContain('MSWINDOWS')
  })
})
