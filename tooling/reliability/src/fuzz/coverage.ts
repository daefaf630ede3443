/** Which blocks of our own code have ever run, as V8 counts them: what new inputs are judged by. */
import { Session } from 'node:inspector/promises'

export class Coverage implements Disposable {
  readonly #session = new Session()

  static async start(): Promise<Coverage> {
    const coverage = new Coverage()
    coverage.#session.connect()
    await coverage.#session.post('Profiler.enable')
    await coverage.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
    return coverage
  }

  /** @returns the blocks that ran since the last time */
  async take(): Promise<readonly string[]> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage')
    return result
      .filter(({ url }) => /\/packages\/.*\/dist\//.test(url))
      .flatMap(({ scriptId, functions }) =>
        functions.flatMap(({ ranges }) =>
          ranges
            .filter(({ count }) => count > 0)
            .map(({ startOffset, endOffset }) => `${scriptId}:${startOffset}-${endOffset}`),
        ),
      )
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
  }
}
