/** The notes of what a power cut could take, by several at a time. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type ChainId, parseChainId } from '@graphdriver/core'
import { temporaryDirectory } from '@tooling/lab'
import { expect, it } from 'vitest'
import { layerdbOf } from '../src/layerdb.ts'
import { UnflushedLayers } from '../src/unflushed.ts'

it('what is noted is there, whoever forgets something else meanwhile', async () => {
  await using directory = await temporaryDirectory()
  const layerdb = layerdbOf(directory.path, 'vfs')
  mkdirSync(layerdb.directory, { recursive: true })
  const unflushed = await UnflushedLayers.read(layerdb, 'boot')
  const [passing, kept] = ['1', '2'].map((digit) => parseChainId(`sha256:${digit.repeat(64)}`))
  if (passing === undefined || kept === undefined) throw new Error('there are two')
  for (let round = 0; round < 600; round++) {
    // The directory goes with the last note, and comes with the next: here at another moment each time.
    await unflushed.note([passing], false)
    const forgetting = unflushed.forget([passing])
    for (let turn = round % 12; turn > 0; turn--) await setImmediate()
    await Promise.all([forgetting, unflushed.note([kept], false)])
    expect((await UnflushedLayers.read(layerdb, 'another boot')).isSuspect(kept)).toBe(true)
    await unflushed.forget([kept])
  }
  expect(readdirSync(layerdb.directory)).toEqual([])
})

it('a store opens without reading a note, which is read when its layer is used', async () => {
  await using directory = await temporaryDirectory()
  const layerdb = layerdbOf(directory.path, 'vfs')
  const notes = path.join(layerdb.directory, '.graphdriver-unflushed')
  const [readable, unreadable, taken] = ['1', '2', '3'].map((digit) => digit.repeat(64))
  // Who reads the second one fails.
  mkdirSync(path.join(notes, unreadable ?? ''), { recursive: true })
  for (const name of [readable, taken]) writeFileSync(path.join(notes, name ?? ''), 'boot')
  const unflushed = await UnflushedLayers.read(layerdb, 'another boot')
  const chain = (name = ''): ChainId => parseChainId(`sha256:${name}`)
  rmSync(path.join(notes, taken ?? ''))
  expect([unflushed.isSuspect(chain(readable)), unflushed.isSuspect(chain(taken))]).toEqual([true, false])
  expect(() => unflushed.isSuspect(chain(unreadable))).toThrow('EISDIR')
})
