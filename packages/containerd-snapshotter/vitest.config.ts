import { unit } from '@tooling/vitest'

export default unit('containerd-snapshotter')
