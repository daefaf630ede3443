/** A real dockerd on a data root, without network, spoken to over its socket. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { unmountTree } from '@graphdriver/sys'

export class DockerDaemon implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #scratch: string

  private constructor(process: ChildProcess, scratch: string) {
    this.#process = process
    this.#scratch = scratch
  }

  static async start(root: string, driver: string): Promise<DockerDaemon> {
    const scratch = mkdtempSync(path.join(tmpdir(), 'gd-docker-'))
    const args = [
      `--storage-driver=${driver}`,
      '--bridge=none',
      '--iptables=false',
      `--data-root=${root}`,
      `--exec-root=${path.join(scratch, 'exec')}`,
      `--pidfile=${path.join(scratch, 'pid')}`,
      `--host=unix://${path.join(scratch, 'socket')}`,
    ]
    const daemon = new DockerDaemon(spawn('dockerd', args, { stdio: ['ignore', 'ignore', 'pipe'] }), scratch)
    try {
      await daemon.#listening()
      return daemon
    } catch (error) {
      await daemon[Symbol.asyncDispose]()
      throw error
    }
  }

  async #listening(): Promise<void> {
    const { stderr } = this.#process
    if (stderr === null) throw new Error('dockerd has no log')
    const log: string[] = []
    const listening = new Promise<void>((resolve, reject) => {
      // Read to the end, or the daemon would block on a full pipe.
      const lines = createInterface({ input: stderr })
      lines.on('line', (line) => {
        log.push(line)
        if (line.includes('API listen on')) resolve()
      })
      lines.on('close', () => reject(new Error(`dockerd ended:\n${log.join('\n')}`)))
    })
    await listening
  }

  /** One call of the Engine API. */
  async call(
    method: 'GET' | 'POST' | 'DELETE',
    target: string,
    body?: Buffer,
    type?: string,
  ): Promise<Buffer> {
    const outgoing = request({
      socketPath: path.join(this.#scratch, 'socket'),
      method,
      path: target,
      headers: { 'Content-Type': type ?? 'application/json' },
    })
    const answered = once(outgoing, 'response')
    outgoing.end(body)
    const [response] = await answered
    const bytes = Buffer.concat(await Array.fromAsync<Buffer>(response))
    if (response.statusCode >= 300)
      throw new Error(`${method} ${target}: ${response.statusCode} ${bytes.toString()}`)
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit')
      this.#process.kill('SIGTERM')
      await ended
    }
    unmountTree(this.#scratch)
    rmSync(this.#scratch, { recursive: true, force: true })
  }
}
