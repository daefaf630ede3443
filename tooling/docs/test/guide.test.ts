/** What the guide tells to do is done. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import {
  filesystem,
  filesystemRequirements,
  need,
  registryRequirements,
  startRegistry,
  workspaceRoot,
} from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { Desk, examplesOf } from '../src/guide.ts'

const guide = path.join(workspaceRoot, 'docs/guide')
const requirements = [{ root: true, kernelFilesystem: 'overlay' }, ...filesystemRequirements('ext4')] as const

describe('the guide', () => {
  for (const name of readdirSync(guide).filter((file) => file.endsWith('.md'))) {
    const page = readFileSync(path.join(guide, name), 'utf8')
    const examples = examplesOf(page)
    const needsRegistry = page.includes('$REGISTRY')
    const missing = need(...requirements, ...(needsRegistry ? registryRequirements : []))
    test.skipIf(missing !== undefined || examples.length === 0)(
      `${name}: its ${examples.length} examples do what it says (${missing ?? 'as root'})`,
      async () => {
        // In memory: nothing of it is about the disk.
        await using place = await filesystem('ext4', { sizeMiB: 1024, storage: 'memory' })
        await using registry = needsRegistry
          ? await startRegistry(path.join(place.path, 'registry'))
          : undefined
        const desk = new Desk(place.path, registry?.host)
        expect(await desk.perform(examples)).toBe(examples.length)
      },
      300_000,
    )
  }

  const missing = need(...requirements)
  test.skipIf(missing !== undefined)(
    'an example that fails, or prints something else, is told of',
    async () => {
      await using place = await filesystem('ext4', { sizeMiB: 256, storage: 'memory' })
      const desk = new Desk(place.path)
      const perform = (page: string): Promise<number> => desk.perform(examplesOf(page))
      await perform('```sh\nA=1\n```\n```sh\necho "$A and more"\n```\n```text\n1 … more\n```\n')
      await perform("```js\nconsole.log('from js')\n```\n```text\nfrom js\n```\n")
      await expect(perform('```sh\ntrue\n```\n```sh\nfalse\n```\n')).rejects.toThrow('exit code 1 in:\nfalse')
      await expect(perform('```sh\necho one\n```\n```text\ntwo\n```\n')).rejects.toThrow(
        "'two' is not printed",
      )
      await expect(perform('```sh\necho b; echo a\n```\n```text\na\nb\n```\n')).rejects.toThrow(
        "'b' is not printed",
      )
      expect(() => examplesOf('```console\n$ ls\n```\n')).toThrow("a block of 'console' is not known")
    },
  )
})
