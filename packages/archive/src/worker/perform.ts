import { applyTar } from '../apply/apply.ts'
import { makeFiles } from '../apply/make-files.ts'
import { toChange, toTreeChange } from '../tree/change.ts'
import { bringBack, setAside, toAufs, toOverlay } from '../aufs/convert.ts'
import { shadeTree } from '../aufs/shade.ts'
import { changesBetween } from '../tree/changes.ts'
import { copyTree } from '../tree/copy.ts'
import { exportChanges, packTree } from '../tree/pack.ts'
import { type RemovalStep, removeTree } from '../tree/remove.ts'
import { changesSize, countDirectories, treeSize } from '../tree/size.ts'
import type { Conversion, Job, JobKind, Jobs } from './job.ts'
import { restAt } from './gate.ts'
import type { RingReader, RingWriter } from './ring.ts'

/** Does one job to its end on this thread. @throws RingAborted when the main thread gave it up */
export function perform(job: Job, reader: RingReader, writer: RingWriter): Jobs[JobKind]['answer'] {
  const check = () => reader.check()
  const sink = (chunk: Uint8Array) => writer.writeSync(chunk)
  switch (job.kind) {
    case 'apply':
      return applyTar(job.input, (take) => reader.drainSync(take), check)
    case 'makeFiles':
      return makeFiles(job.input, check)
    case 'changes':
      return changesBetween(job.input.tree, job.input.base, check, job.input.touched).map(toChange)
    case 'diff': {
      const { tree, base, touched } = job.input
      if (base === undefined) packTree(tree, sink, { whiteouts: 'none' }, check)
      else exportChanges(tree, changesBetween(tree, base, check, touched), sink, check)
      return undefined
    }
    case 'exportChanges':
      exportChanges(job.input.tree, job.input.changes.map(toTreeChange), sink, check)
      return undefined
    case 'pack':
      packTree(job.input.tree, sink, job.input, check)
      return undefined
    case 'countDirectories':
      return countDirectories(job.input.tree, check)
    case 'size':
      return treeSize(job.input.tree, check)
    case 'changesSize':
      return changesSize(job.input.tree, job.input.changes.map(toTreeChange), check)
    case 'copy': {
      const { source, target, mode, overlayXattrs } = job.input
      return copyTree(source, target, { mode, overlayXattrs }, check)
    }
    case 'shade':
      return shadeTree(job.input, check)
    case 'convert':
      convert(job.input, check)
      return undefined
    case 'remove':
      return removeTree(job.input.path, stepOf(job.input, check))
  }
}

/** How many entries are removed between two looks at the clock. */
const entriesPerRest = 256

function stepOf({ entries = Infinity, pace }: Jobs['remove']['input'], check: () => void): RemovalStep {
  let count = 0
  let began = performance.now()
  return () => {
    if (count++ % entriesPerRest === 0) {
      check()
      if (pace !== undefined) {
        restAt(pace, performance.now() - began)
        began = performance.now()
      }
    }
    return count <= entries
  }
}

function convert(step: Conversion, check: () => void): void {
  switch (step.to) {
    case 'overlay':
      toOverlay(step.tree, step.xattr, check)
      return
    case 'aufs':
      toAufs(step.tree, step.xattr, check)
      return
    case 'aside':
      setAside(step.tree, step.aside, check)
      return
    case 'back':
      bringBack(step.tree, step.aside, check)
  }
}
