/** `npm start`: sets up, builds, then runs the demo, or the `graphdriver` command with what follows `--`. */
import path from 'node:path'
import { demo } from './demo.js'
import { runProgram } from './program.js'
import { build, install, main, node, requireNode, root } from './workspace.js'

await main(async () => {
  requireNode()
  await install()
  await build()
  const command = (...args) => [node, path.join(root, 'packages', 'cli', 'dist', 'main.js'), ...args]
  const args = process.argv.slice(2)
  // npm moves into the repository; paths on its command line mean where the user stood.
  const cwd = process.env.INIT_CWD ?? process.cwd()
  return args.length === 0 ? demo(command) : runProgram(command(...args), { cwd, input: true })
})
