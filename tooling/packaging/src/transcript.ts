/** What somebody types, and what they see. */
import type { Project } from './project.ts'

export class Transcript {
  readonly #project: Project
  readonly #lines: string[] = []

  constructor(project: Project) {
    this.#project = project
  }

  /**
   * @param line as it is typed: words between spaces
   * @throws with the whole transcript when it fails, or says something else
   */
  async succeed(line: string, wanted: RegExp): Promise<void> {
    const { exitCode, all } = await this.#type(line)
    if (exitCode !== 0 || !wanted.test(all)) throw this.#unexpected(`exit code 0 and ${wanted}`)
  }

  /** @throws when it succeeds, or does not say why */
  async fail(line: string, wanted: RegExp): Promise<void> {
    const { exitCode, all } = await this.#type(line)
    if (exitCode === 0 || !wanted.test(all)) throw this.#unexpected(`a failure and ${wanted}`)
  }

  get text(): string {
    return this.#lines.join('\n')
  }

  async #type(line: string): Promise<{ readonly exitCode: number | undefined; readonly all: string }> {
    const [program = '', ...words] = line.split(' ')
    const ran = await this.#project.run(program, ...words)
    this.#lines.push(
      `$ ${line}`,
      ran.all,
      ...(ran.exitCode === 0 ? [] : [`(exit code ${String(ran.exitCode)})`]),
    )
    return ran
  }

  #unexpected(wanted: string): Error {
    return new Error(`the last step was to give ${wanted}:\n${this.text}`)
  }
}
