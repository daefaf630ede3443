/** `npm run bench`: sets up, builds, then measures this project beside its peers; what follows `--` is the benchmarks'. */
import path from 'node:path'
import { runProgram } from './program.js'
import { build, environment, install, main, node, requireNode, root } from './workspace.js'

await main(async () => {
  requireNode()
  await install()
  await runProgram([process.execPath, path.join(root, 'tooling', 'lab', 'install.js')])
  await build()
  const within = path.join(root, 'tooling', 'lab', 'src', 'within.ts')
  const bench = path.join(root, 'tooling', 'bench', 'src', 'main.ts')
  // npm moves into the repository; paths on its command line mean where the user stood.
  const cwd = process.env.INIT_CWD ?? process.cwd()
  return runProgram([node, within, node, bench, ...process.argv.slice(2)], { cwd, env: environment })
})
