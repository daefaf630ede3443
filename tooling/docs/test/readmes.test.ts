/** Every package's README is what the template and the figures make of it. */
import { publicPackages } from '@tooling/lab'
import { expect, test } from 'vitest'
import { figuresOf } from '../src/figures.ts'
import { outdatedReadmes, readmeOf } from '../src/readmes.ts'

test('no README is old (npm run readmes writes them)', () => {
  expect(outdatedReadmes()).toEqual([])
})

test('what is said is what was measured', () => {
  const overlay2 = figuresOf('overlay2', 'docs')
  expect(overlay2).toMatch(/`overlay2`: \d+ of \d+ on ext4, \d+ of \d+ on xfs/)
  expect(overlay2).toMatch(/\| ext4 +\| \d+ \| \d+\.\d ms \|/)
  expect(overlay2).toMatch(/0\.\d+ × dockerd/)
  expect(figuresOf('windows-layer', 'docs')).toBe('')
})

test('each has what all have', () => {
  for (const directory of publicPackages()) {
    const readme = readmeOf(directory)
    expect([directory, readme]).toEqual([
      directory,
      expect.stringMatching(/^# @graphdriver\/[^]*## What it needs[^]*Apache-2\.0\.\n$/),
    ])
  }
})
