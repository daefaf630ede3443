export { type Area, areas, type CaseBody, type CaseId, casesOf, type ConformanceCase } from './case.ts'
export { allCases } from './cases.ts'
export { CaseContext, rootIsOwn } from './context.ts'
export { differentialCases } from './differential.ts'
export { examine, type ExamineOptions, subjectOf } from './examine.ts'
export { command, type CommandOptions, commandSync } from './host/command.ts'
export { stamps } from './listing.ts'
export { attachedBelow } from './host/loop-devices.ts'
export { mountsBelow } from './host/mount-table.ts'
export { ownPrefix } from './host/owner.ts'
export { enterLab, labRoot, reap, tearDown } from './host/reap.ts'
export { findCommand, isRequired, namesOf, type Requirement, unmet } from './host/requirement.ts'
export { type TemporaryDirectory, temporaryDirectory } from './host/temporary-directory.ts'
export { CannotRun, type Lab, type Place, temporaryLab, type VolumeRequest } from './lab.ts'
export { perform } from './recipe/perform.ts'
export * from './recipe/step.ts'
export {
  addToReport,
  byArea,
  mergeReports,
  parseReport,
  readReport,
  type Report,
  type ReportedCase,
  reportFormat,
  reportText,
  type Run,
  RunRecord,
  tally,
  writeReport,
} from './report.ts'
export { type CaseResult, type Outcome, runCase } from './run.ts'
export type { RunnerOptions } from './runner-options.ts'
export { soon } from './soon.ts'
export type { Subject, SubjectOptions } from './subject.ts'
export { entryBlocks, inChunks, type RawEntry, rawTar } from './tar/raw-tar.ts'
export { driverTable } from './table.ts'
export { collect, type ReadEntry, readTar } from './tar/read-tar.ts'
export {
  type Aspect,
  type ComparisonOptions,
  compareTrees,
  type Difference,
  type Exception,
} from './tree/comparison.ts'
export { expectedChanges, expectedSize } from './tree/expected-changes.ts'
export { bytePath, type FileType, readTree, type Tree, type TreeFile } from './tree/tree.ts'
export { readXattrs, type Xattrs, type XattrTree } from './tree/xattr.ts'
