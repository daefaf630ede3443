export {
  type ProjectLimits,
  type ProjectState,
  type ProjectUsage,
  projectState,
  projectUsage,
  type QuotaWay,
  setProjectLimits,
} from './limits.ts'
export { type ProjectAttributes, projectOf, setProject } from './project.ts'
