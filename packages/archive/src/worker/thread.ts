/** The file that a worker thread runs: one job after another, each from start to end without giving way. */
import { parentPort, workerData } from 'node:worker_threads'
import { describeFailure } from './failure.ts'
import type { Job, Reply } from './job.ts'
import { perform } from './perform.ts'
import { RingReader, RingWriter, type SharedRing } from './ring.ts'

const ring: SharedRing = workerData
const reader = new RingReader(ring)
const writer = new RingWriter(ring)

parentPort?.on('message', (job: Job) => {
  const reply = answer(job)
  // Before the reply, because with the reply the ring belongs to the next job.
  reader.leave()
  writer.end()
  parentPort?.postMessage(reply)
})

function answer(job: Job): Reply {
  try {
    return { ok: true, answer: perform(job, reader, writer) }
  } catch (error) {
    return { ok: false, failure: describeFailure(error) }
  }
}
