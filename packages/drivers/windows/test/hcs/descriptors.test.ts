/** Security descriptors as text, as layers had them before 2016: ours of them are those of another implementation, byte by byte. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { descriptorOf } from '@graphdriver/windows-layer'
import { need, windowsPath, wineMachine, wineRequirements } from '@tooling/lab'
import { expect, test } from 'vitest'
import { descriptorTexts } from './descriptor-texts.ts'

const missing = need(...wineRequirements)

test.skipIf(missing !== undefined)(
  `Wine makes the same of them (${missing ?? 'under Wine'})`,
  async () => {
    await using machine = await wineMachine()
    const scratch = await mkdtemp(path.join(tmpdir(), 'descriptors-'))
    try {
      const file = path.join(scratch, 'found.json')
      const { status, output } = await machine.run(path.join(import.meta.dirname, 'descriptors.ts'), [
        windowsPath(file),
      ])
      expect([status, output]).toEqual([0, expect.any(String)])
      const found = JSON.parse(await readFile(file, 'utf8')) as readonly (string | null)[]
      const ours = descriptorTexts.map((text) => descriptorOf(text)?.toString('base64') ?? null)
      for (const [index, text] of descriptorTexts.entries())
        expect([text, ours[index]]).toEqual([text, found[index]])
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  },
  300_000,
)
