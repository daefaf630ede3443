/** A thread that fuzzes one target, so that the one that started it can end it when an input never ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { fuzz, type FuzzResult } from './loop.ts'
import { currentHead, type FuzzWork } from './work.ts'
import { targetNamed } from './targets.ts'

const { target, current, known, ...request } = workerData as FuzzWork
const numbers = new Uint32Array(current, 0, 2)
const bytes = new Uint8Array(current, currentHead)
const result: FuzzResult = await fuzz(targetNamed(target), {
  ...request,
  known: known.map((one) => Buffer.from(one)),
  onInput(input) {
    bytes.set(input.subarray(0, bytes.length))
    numbers[0] = Math.min(input.length, bytes.length)
    Atomics.add(numbers, 1, 1)
  },
})
parentPort?.postMessage(result)
