export { CopyingDriver } from './driver.ts'
export { type CopyingHome, openCopyingDriver } from './open.ts'
