import { defineConfig, type ViteUserConfig } from 'vitest/config'

/**
 * The one test set-up: every file in its own process, because mounts and umask are process state.
 *
 * @param workers how many files run at a time; by default as many as there are processors, but one
 */
export function unit(name: string, workers?: number): ViteUserConfig {
  return defineConfig({
    test: {
      name,
      ...(workers === undefined ? {} : { maxWorkers: workers }),
      include: ['test/**/*.test.ts'],
      pool: 'forks',
      testTimeout: 60_000,
      hookTimeout: 120_000,
      // What is waited for comes late on a machine that has more to do.
      expect: { poll: { timeout: 30_000 } },
      // `npm test` sums these up. Not on the command line, where they would change every hash of turbo's.
      reporters: ['default', ['json', { outputFile: '.turbo/vitest.json' }]],
    },
  })
}
