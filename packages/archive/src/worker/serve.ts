import { parentPort, workerData } from 'node:worker_threads'
import { describeFailure } from './failure.ts'
import type { Job, JobKind, Jobs, Reply } from './job.ts'
import { RingReader, RingWriter, type SharedRing } from './ring.ts'

/** Does one job to its end on this thread. @throws RingAborted when the main thread gave it up */
export type Perform = (job: Job, reader: RingReader, writer: RingWriter) => Jobs[JobKind]['answer']

/** Makes a worker thread of `TreeWorkers` do one job after another, each from start to end without giving way. */
export function serveJobs(perform: Perform): void {
  const ring: SharedRing = workerData
  const reader = new RingReader(ring)
  const writer = new RingWriter(ring)
  parentPort?.on('message', (job: Job) => {
    const reply = answer(() => perform(job, reader, writer))
    // Before the reply, because with the reply the ring belongs to the next job.
    reader.leave()
    writer.end()
    parentPort?.postMessage(reply)
  })
}

function answer(job: () => Jobs[JobKind]['answer']): Reply {
  try {
    return { ok: true, answer: job() }
  } catch (error) {
    return { ok: false, failure: describeFailure(error) }
  }
}
