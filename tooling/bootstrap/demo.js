/** What a newcomer sees first: the command's own transcript on a data root that is thrown away. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runProgram } from './program.js'
import { root as repository } from './workspace.js'

const image = path.join('tooling', 'demo-image', 'demo.oci.tar')
const name = 'graphdriver/demo:latest'

/** /tmp is a small tmpfs on some systems and on an overlay in containers; /var/tmp is the better guess for layers. */
function placeForRoot() {
  return existsSync('/var/tmp') && process.env.TMPDIR === undefined ? '/var/tmp' : tmpdir()
}

/**
 * @param {(...args: string[]) => readonly string[]} command makes a command line of `graphdriver`
 * @returns {Promise<number>}
 */
export async function demo(command) {
  const root = mkdtempSync(path.join(placeForRoot(), 'graphdriver-demo-'))
  const step = async (...args) => {
    console.log(`\n$ graphdriver ${args.join(' ')}`)
    return runProgram(command('--root', root, ...args), { cwd: repository })
  }
  try {
    let code = await step('info')
    if (code === 0) code = await step('load', image)
    if (code === 0) code = await step('layers', name)
    if (code === 0) code = await step('run', name)
    if (code === 0) console.log(`\nYour own image: npm start -- run my-image.tar -- /bin/sh -c 'echo hello'`)
    return code
  } finally {
    // Some of it may belong to ids of a user namespace, which only the command can remove.
    await runProgram(command('--root', root, 'rmi', name), { cwd: repository, output: 'none' })
    rmSync(root, { recursive: true, force: true })
  }
}
