/** `npm run bench`, `npm run reliability`: sets up, builds, then runs a tool; what follows `--` is for that. */
import path from 'node:path'
import { runProgram } from './program.js'
import { build, environment, install, main, node, requireNode, root } from './workspace.js'

await main(async () => {
  const [tool = '', ...rest] = process.argv.slice(2)
  requireNode()
  await install()
  await runProgram([process.execPath, path.join(root, 'tooling', 'lab', 'install.js')])
  await build()
  const within = path.join(root, 'tooling', 'lab', 'src', 'within.ts')
  const program = path.join(root, 'tooling', tool, 'src', 'main.ts')
  // npm moves into the repository; paths on its command line mean where the user stood.
  const cwd = process.env.INIT_CWD ?? process.cwd()
  return runProgram([node, within, node, program, ...rest], { cwd, env: environment })
})
