/** What is told of the pool and the dataset, with Docker's words. */
import { run } from '@graphdriver/sys'
import type { StatusRow } from '@graphdriver/core'
import { parseTable, zfs } from './command.ts'

/** The rows of `docker info`. */
export async function describeDataset(filesystem: string): Promise<readonly StatusRow[]> {
  const pool = filesystem.split('/')[0] ?? filesystem
  const [[health = '']] = [
    parseTable((await run('zpool', ['list', '-H', '-o', 'health', pool])).stdout)[0] ?? [],
  ]
  const properties = 'used,available,quota,compression'
  const lines = await zfs('get', '-Hp', '-o', 'property,value', properties, filesystem)
  const values = new Map(lines.map(([name = '', value = '']) => [name, value]))
  const quota = values.get('quota')
  return [
    ['Zpool', pool],
    ['Zpool Health', health],
    ['Parent Dataset', filesystem],
    ['Space Used By Parent', values.get('used') ?? ''],
    ['Space Available', values.get('available') ?? ''],
    ['Parent Quota', quota === undefined || quota === '0' ? 'no' : quota],
    ['Compression', values.get('compression') ?? ''],
  ]
}
