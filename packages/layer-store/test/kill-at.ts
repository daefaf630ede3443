import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'

/**
 * Lets `crash-victim.ts` do something and die at a point.
 *
 * @returns whether it died before it was done
 * @throws Error when it failed by itself
 */
export async function killAt(root: string, driver: string, action: string, point: string): Promise<boolean> {
  const victim = path.join(import.meta.dirname, 'crash-victim.ts')
  const child = spawn(process.execPath, [victim, root, driver, action, point], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (signal === 'SIGKILL' && output === '') return true
  if (code === 0 && output === 'survived\n') return false
  throw new Error(`the victim ended with ${String(code ?? signal)} and wrote '${output}'`)
}
