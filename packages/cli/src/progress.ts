import type { MultiBar, SingleBar } from 'cli-progress'
import { formatBytes } from './quantity.ts'

/** Shows how far several things are: bars on a terminal, a line for each end elsewhere; always on stderr. */
export interface Progress extends Disposable {
  /** @param total bytes */
  start(name: string, label: string, total: number): void
  advance(name: string, bytes: number): void
  /** @param note what became of it */
  finish(name: string, label: string, note: string): void
}

export async function openProgress(wanted: boolean): Promise<Progress> {
  if (!wanted) return new SilentProgress()
  if (!process.stderr.isTTY) return new LineProgress()
  const { MultiBar, Presets } = await import('cli-progress')
  const bars = new MultiBar(
    {
      stream: process.stderr,
      clearOnComplete: false,
      hideCursor: true,
      // Signals are the command's: it undoes what is under way first.
      gracefulExit: false,
      format: '{label}  {bar}  {shown}',
      barsize: 30,
    },
    Presets.shades_classic,
  )
  return new BarProgress(bars)
}

class SilentProgress implements Progress {
  start(): void {}
  advance(): void {}
  finish(): void {}
  [Symbol.dispose](): void {}
}

class LineProgress implements Progress {
  start(): void {}
  advance(): void {}

  finish(_name: string, label: string, note: string): void {
    process.stderr.write(`${label}: ${note}\n`)
  }

  [Symbol.dispose](): void {}
}

class BarProgress implements Progress {
  readonly #bars: MultiBar
  readonly #shown = new Map<string, SingleBar>()

  constructor(bars: MultiBar) {
    this.#bars = bars
  }

  start(name: string, label: string, total: number): void {
    if (this.#shown.has(name)) return
    this.#shown.set(name, this.#bars.create(total, 0, { label, shown: formatBytes(0) }))
  }

  advance(name: string, bytes: number): void {
    this.#shown.get(name)?.update(bytes, { shown: formatBytes(bytes) })
  }

  finish(name: string, label: string, note: string): void {
    this.start(name, label, 1)
    const bar = this.#shown.get(name)
    bar?.update(bar.getTotal(), { shown: note })
    bar?.stop()
  }

  [Symbol.dispose](): void {
    this.#bars.stop()
  }
}
