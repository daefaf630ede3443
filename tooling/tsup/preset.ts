import { defineConfig, type Options } from 'tsup'

/** The one build that every published package uses: ESM only; declarations come from tsc. */
export function library(...entry: string[]): ReturnType<typeof defineConfig> {
  const options: Options = {
    entry,
    format: 'esm',
    target: 'node22',
    platform: 'node',
    clean: true,
    splitting: true,
    sourcemap: true,
    treeshake: false,
    dts: false,
    // Some modules, such as node:test, have no other name.
    removeNodeProtocol: false,
    silent: true,
  }
  return defineConfig(options)
}
