import { applyTar } from '../apply/apply.ts'
import type { Job, JobKind, Jobs } from './job.ts'
import type { RingReader, RingWriter } from './ring.ts'

/** Does one job to its end on this thread. @throws RingAborted when the main thread gave it up */
export function perform(job: Job, reader: RingReader, writer: RingWriter): Jobs[JobKind]['answer'] {
  const check = () => reader.check()
  const sink = (chunk: Uint8Array) => writer.writeSync(chunk)
  switch (job.kind) {
    case 'apply':
      return applyTar(job.input, (take) => reader.drainSync(take), check)
    default:
      sink(new Uint8Array())
      throw new Error('not yet')
  }
}
