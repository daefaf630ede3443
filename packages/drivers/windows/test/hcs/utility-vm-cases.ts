import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { base, deleted, directory, file, type HcsCase, image, rejection } from './case.ts'

const boot = 'UtilityVM/Files/EFI/Microsoft/Boot'

const machine = [
  directory('UtilityVM'),
  directory('UtilityVM/Files'),
  directory('UtilityVM/Files/EFI'),
  directory('UtilityVM/Files/EFI/Microsoft'),
  directory(boot),
  file(`${boot}/BCD`, 'boot configuration'),
  file('UtilityVM/Files/kernel', 'kernel'),
  file('UtilityVM/Files/old', 'old'),
]

export const utilityVmCases: readonly HcsCase[] = [
  {
    name: 'the virtual machine of a base layer is processed, and its boot configuration kept as it was',
    async run(context) {
      await image(await context.open(), 'base', undefined, ...base, ...machine)
      const layer = path.join(context.home, 'base')
      const processed = context.calls().filter(({ call }) => call === 'ProcessUtilityImage')
      assert.deepEqual(
        processed.map(({ folder }) => folder),
        [path.join(layer, 'UtilityVM')],
      )
      assert.equal(readFileSync(path.join(layer, 'bcd.bak'), 'utf8'), 'boot configuration')
    },
  },
  {
    name: 'that of a child shares the files of the one below, but for what it replaces and deletes',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base, ...machine)
      await image(
        driver,
        'child',
        'base',
        directory('Files'),
        directory('UtilityVM'),
        directory('UtilityVM/Files'),
        file('UtilityVM/Files/kernel', 'another kernel'),
        deleted('UtilityVM/Files/old'),
        file(`${boot}/BCD`, 'another configuration'),
      )
      const read = (layer: string, name: string): string =>
        readFileSync(path.join(context.home, layer, ...name.split('/')), 'utf8')
      assert.equal(read('child', 'UtilityVM/Files/kernel'), 'another kernel')
      assert.equal(read('base', 'UtilityVM/Files/kernel'), 'kernel')
      assert.equal(read('base', 'UtilityVM/Files/old'), 'old')
      assert.throws(() => read('child', 'UtilityVM/Files/old'), { code: 'ENOENT' })
      assert.equal(read('base', `${boot}/BCD`), 'boot configuration')
      assert.equal(read('child', `${boot}/BCD`), 'another configuration')
      assert.equal(read('child', 'bcd.bak'), 'another configuration')
    },
  },
  {
    name: 'its files are shared with the one below, its boot configuration is not',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base, ...machine)
      await image(driver, 'child', 'base', directory('Files'), directory('UtilityVM'))
      const links = (name: string): number =>
        statSync(path.join(context.home, 'base', ...name.split('/'))).nlink
      assert.deepEqual([links('UtilityVM/Files/kernel'), links(`${boot}/BCD`)], [2, 1])
    },
  },
  {
    name: 'a child without one below, or with other parts of one, is refused',
    async run(context) {
      const driver = await context.open()
      await image(driver, 'base', undefined, ...base)
      const none = await rejection(image(driver, 'a', 'base', directory('UtilityVM')))
      assert.equal(none.code, 'GD_ARCHIVE_INVALID')
      await image(driver, 'full', undefined, ...base, ...machine)
      const other = await rejection(
        image(driver, 'b', 'full', directory('UtilityVM'), file('UtilityVM/Other/a')),
      )
      assert.equal(other.code, 'GD_ARCHIVE_INVALID')
    },
  },
]
