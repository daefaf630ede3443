import { chownSync, linkSync, mkdirSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { command, compareTrees, temporaryDirectory, unmet } from '../../src/conformance/index.ts'

const missing = unmet({ root: true, command: 'getfattr' }) ?? unmet({ command: 'mknod' })

function plant(root: string): void {
  mkdirSync(path.join(root, 'directory'), { recursive: true })
  for (const name of ['one', 'two', 'directory/three']) writeFileSync(path.join(root, name), 'content')
  linkSync(path.join(root, 'one'), path.join(root, 'directory/hard'))
  symlinkSync('one', path.join(root, 'symbolic'))
  writeFileSync(Buffer.concat([Buffer.from(`${root}/latin1-`), Buffer.of(0xe9)]), 'content')
}

function still(root: string): Promise<unknown> {
  return command('find', [
    root,
    '-exec',
    'touch',
    '--no-dereference',
    '--date=2020-01-01T00:00:00.5',
    '{}',
    '+',
  ])
}

const changes: Readonly<Record<string, readonly [(root: string) => unknown, string]>> = {
  content: [
    (root) => writeFileSync(path.join(root, 'two'), 'conTent'),
    'content of /two: expected equal bytes, found another byte at offset 3',
  ],
  size: [(root) => writeFileSync(path.join(root, 'two'), 'con'), 'size of /two: expected 7, found 3'],
  mode: [
    (root) => command('chmod', ['4755', path.join(root, 'two')]),
    'mode of /two: expected 0644, found 4755',
  ],
  owner: [(root) => chownSync(path.join(root, 'two'), 3, 4), 'owner of /two: expected 0:0, found 3:4'],
  missing: [(root) => unlinkSync(path.join(root, 'two')), 'existence of /two: expected file, found nothing'],
  extra: [
    (root) => mkdirSync(path.join(root, 'more')),
    'existence of /more: expected nothing, found directory',
  ],
  type: [
    async (root) => {
      unlinkSync(path.join(root, 'two'))
      await command('mkfifo', [path.join(root, 'two')])
    },
    'type of /two: expected file, found fifo',
  ],
  hardlink: [
    (root) => {
      unlinkSync(path.join(root, 'one'))
      writeFileSync(path.join(root, 'one'), 'content')
    },
    'hardlink of /one: expected directory/hard, found one',
  ],
  target: [
    (root) => {
      unlinkSync(path.join(root, 'symbolic'))
      symlinkSync('two', path.join(root, 'symbolic'))
    },
    'target of /symbolic: expected one, found two',
  ],
  xattrs: [
    (root) => command('setfattr', ['-n', 'user.a=b', '-v', 'x', path.join(root, 'directory')]),
    'xattrs of /directory: expected {}, found {"user.a=b":"0x78"}',
  ],
  name: [
    (root) => unlinkSync(Buffer.concat([Buffer.from(`${root}/latin1-`), Buffer.of(0xe9)])),
    String.raw`existence of /latin1-\xe9: expected file, found nothing`,
  ],
}

test.for(Object.keys(changes))('a difference is told: %s (root)', async (name, { skip }) => {
  skip(missing !== undefined, missing)
  const [change = () => {}, line = ''] = changes[name] ?? []
  await using place = await temporaryDirectory()
  const [left, right] = [path.join(place.path, 'left'), path.join(place.path, 'right')]
  for (const root of [left, right]) plant(root)
  await change(right)
  for (const root of [left, right]) await still(root)
  expect(await compareTrees(left, right)).toEqual([line])
})

test('equal trees have no difference, and a time to the nanosecond is one (root)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using place = await temporaryDirectory()
  const [left, right] = [path.join(place.path, 'left'), path.join(place.path, 'right')]
  for (const root of [left, right]) {
    plant(root)
    await still(root)
  }
  expect(await compareTrees(left, right)).toEqual([])
  utimesSync(path.join(right, 'two'), 1_577_836_800, 1_577_836_800)
  const line = 'mtime of /two: expected 1577836800.500000000, found 1577836800.000000000'
  expect(await compareTrees(left, right)).toEqual([line])
})

test('device numbers are told, and exceptions silence what they name only (root)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using place = await temporaryDirectory()
  const [left, right] = [path.join(place.path, 'left'), path.join(place.path, 'right')]
  for (const [root, minor] of [
    [left, '70000'],
    [right, '70001'],
  ] as const) {
    plant(root)
    await command('mknod', [path.join(root, 'device'), 'b', '4095', minor])
    await still(root)
  }
  const line = 'device of /device: expected 4095:70000, found 4095:70001'
  expect(await compareTrees(left, right)).toEqual([line])
  const exception = { reason: 'a test', aspect: 'device' } as const
  expect(await compareTrees(left, right, { exceptions: [exception] })).toEqual([])
  expect(await compareTrees(left, right, { exceptions: [{ ...exception, path: /^\/other$/ }] })).toEqual([
    line,
  ])
})
