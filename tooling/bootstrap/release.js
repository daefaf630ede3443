/**
 * `npm run version-packages`: the next versions, from the changesets, and what follows from them. `npm run release`: publishes what the
 * registry does not have yet.
 */
import path from 'node:path'
import { runProgram } from './program.js'
import { environment, main, root } from './workspace.js'

const bin = (name) => path.join(root, 'node_modules', '.bin', name)
const run = (...command) => runProgram(command, { cwd: root, env: environment })

const steps = {
  version: [
    [bin('changeset'), 'version'],
    // The lock file names the versions too.
    [bin('pnpm'), 'install', '--lockfile-only'],
    [bin('pnpm'), 'run', 'format'],
  ],
  publish: [
    [bin('turbo'), 'run', 'build', 'check'],
    [bin('changeset'), 'publish'],
  ],
}

await main(async () => {
  for (const step of steps[process.argv[2]] ?? []) {
    const code = await run(...step)
    if (code !== 0) return code
  }
  return 0
})
