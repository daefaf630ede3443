/**
 * Where results go: stdout. With `--json` that is exactly one JSON document and nothing else; without, text.
 */
export class Output {
  readonly json: boolean

  constructor(json: boolean) {
    this.json = json
  }

  /** Prints a result, in the one form or the other. */
  result(document: unknown, text: () => string): void {
    process.stdout.write(this.json ? `${JSON.stringify(document, undefined, 2)}\n` : text())
  }

  /** A piece of a result that comes bit by bit; with `--json` the document at the end has it. */
  line(text: string): void {
    if (!this.json) process.stdout.write(`${text}\n`)
  }
}
