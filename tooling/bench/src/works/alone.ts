/** Works for which there is a bound and no peer. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { filesystem, temporaryDirectory } from '@tooling/lab'
import { ownProgram } from '../peers/load.ts'
import { timed, wall } from '../peers/process.ts'
import { subject } from '../peers/subject.ts'
import { onFresh } from '../place.ts'
import { prepared } from '../prepared.ts'
import type { Samples, Work } from '../work.ts'
import { smallFiles } from './contents.ts'

export const removalWork: Work = {
  id: 'remove-large',
  title: 'a layer of many files removed, until the call returns (overlay2, ext4)',
  units: { wall: 'ms' },
  rounds: 3,
  goals: [{ metric: 'wall', statistic: 'max', atMost: 20 }],
  prepare: (setting) =>
    prepared(async (resources) => {
      const scratch = resources.use(await temporaryDirectory())
      const tar = path.join(scratch.path, 'layer.tar')
      const count = setting.scale === 'full' ? 100_000 : 10_000
      await writeFile(tar, smallFiles(count, 64))
      const round = (action: (root: string) => Promise<Samples>) => () => onFresh(setting, 'ext4', action)
      return {
        contenders: [
          { name: 'graphdriver', round: round((root) => subject('removal', root, tar)) },
          {
            name: 'rm -r',
            round: round(async (root) => {
              const tree = path.join(root, 'tree')
              await mkdir(tree)
              await timed('tar', ['-xf', tar, '-C', tree])
              return wall((await timed('rm', ['-r', tree])).milliseconds)
            }),
          },
        ],
        notes: [`${count} files`],
      }
    }),
}

export const listWork: Work = {
  id: 'list-10000',
  title: 'a store with many layers opened and listed, in a fresh process, its records in the page cache',
  units: { wall: 'ms', layers: '' },
  rounds: 5,
  goals: [{ metric: 'wall', statistic: 'median', atMost: 100 }],
  prepare: (setting) =>
    prepared(async (resources) => {
      const volume = resources.use(
        await filesystem('ext4', { sizeMiB: 8192, storage: 'memory', mkfsOptions: ['-N', '500000'] }),
      )
      await subject('many', volume.path, setting.scale === 'full' ? '10000' : '1000')
      return {
        contenders: [{ name: 'graphdriver', round: () => subject('many', volume.path, '0') }],
        notes: [],
      }
    }),
}

export const startWork: Work = {
  id: 'cli-start',
  title: '`graphdriver images` on an empty root, from its start to its end',
  units: { wall: 'ms' },
  rounds: 20,
  goals: [{ metric: 'wall', statistic: 'median', atMost: 120 }],
  prepare: () =>
    prepared(async (resources) => {
      const scratch = resources.use(await temporaryDirectory())
      const [program = '', main = ''] = ownProgram
      return {
        contenders: [
          {
            name: 'graphdriver',
            round: async () =>
              wall((await timed(program, [main, '--root', scratch.path, 'images'])).milliseconds),
          },
          { name: 'node', round: async () => wall((await timed(program, ['--eval', '0'])).milliseconds) },
        ],
        notes: ['node: an empty program, which is what no command of Node’s can be faster than'],
      }
    }),
}
