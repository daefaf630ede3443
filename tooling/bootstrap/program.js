/** Starting other programs: their output is ours, and they end when we are told to end. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

const streams = { stdout: 1, stderr: 2, none: 'ignore' }

/**
 * Runs a program to its end.
 *
 * @param {readonly string[]} command
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, input?: boolean, output?: 'stdout' | 'stderr' | 'none' }}
 *   [options] `input` hands it our stdin; `output` says where its stdout goes, `none` that nobody hears it
 * @returns {Promise<number>} its exit code, 128 + n for signal n, 127 when it cannot be started
 */
export function runProgram([file = '', ...args], { cwd, env, input = false, output = 'stdout' } = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [input ? 'inherit' : 'ignore', streams[output], output === 'none' ? 'ignore' : 2],
    })
    // A terminal sends these to the whole group already, and a second one does no harm; a supervisor only to us.
    const forward = (signal) => child.kill(signal)
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, forward)
    const finish = (code) => {
      for (const signal of signals) process.off(signal, forward)
      resolve(code)
    }
    child.on('error', (error) => {
      console.error(`${file}: ${error.message}`)
      finish(127)
    })
    child.on('close', (code, signal) => finish(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0)))
  })
}
