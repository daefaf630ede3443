import { unit } from '@tooling/vitest'

// Which wait for guests most of the time.
export default unit('devicemapper', 2)
