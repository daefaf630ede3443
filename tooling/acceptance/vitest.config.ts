import { unit } from '@tooling/vitest'
import { mergeConfig } from 'vitest/config'

/** Whole images on real filesystems: minutes, not seconds, when the disk is slow. */
const patience = { testTimeout: 300_000, hookTimeout: 300_000 }

export default mergeConfig(unit('acceptance'), {
  test: { ...patience, globalSetup: './src/global-setup.ts' },
})
