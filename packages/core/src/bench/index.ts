export {
  type BenchCase,
  type BenchSettings,
  type Measured,
  type Parameters,
  type Round,
  type Scale,
  scales,
} from './bench-case.ts'
export { benchCases } from './cases.ts'
export type { Measurement } from './measurement.ts'
export { benchFormat, type BenchResult, type BenchRun, type Measurements, type Unmeasured } from './report.ts'
export { type BenchOptions, runBench } from './run.ts'
