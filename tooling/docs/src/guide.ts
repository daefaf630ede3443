/**
 * The examples of a page: what stands in its blocks of code is done, one after another in one directory, and what stands in a block of
 * `text` after it has to be among what is printed, line by line, where `…` is anything.
 *
 * `sh no-run` is not done: it needs what a test has not.
 */
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { publicPackages, workspaceRoot } from '@tooling/lab'
import { execa } from 'execa'

export interface Example {
  readonly language: 'sh' | 'js'
  readonly code: string
  /** Lines that have to be printed, in this order. */
  readonly prints: readonly string[]
}

/** @throws when a block is of no kind that is known: it would be neither done nor read */
export function examplesOf(page: string): readonly Example[] {
  const examples: { language: 'sh' | 'js'; code: string; prints: readonly string[] }[] = []
  for (const [, info = '', code = ''] of page.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)) {
    if (info === 'sh' || info === 'js') examples.push({ language: info, code, prints: [] })
    else if (info === 'text') {
      const last = examples.at(-1)
      if (last === undefined) throw new Error(`nothing prints: ${code}`)
      last.prints = code.trimEnd().split('\n')
    } else if (info !== 'sh no-run') throw new Error(`a block of '${info}' is not known here`)
  }
  return examples
}

/** An empty directory as somebody has it who installed everything: the command, the packages, a small image. */
export class Desk {
  readonly #directory: string
  readonly #environment: Readonly<Record<string, string>>

  /** @param directory exists, and is empty */
  constructor(directory: string, registry?: string) {
    this.#directory = directory
    const bin = path.join(directory, '.bin')
    const scope = path.join(directory, 'node_modules/@graphdriver')
    for (const place of [bin, scope]) mkdirSync(place, { recursive: true })
    for (const one of publicPackages())
      symlinkSync(path.join(workspaceRoot, one), path.join(scope, path.basename(one)))
    const command = path.join(workspaceRoot, 'packages/cli/dist/main.js')
    writeFileSync(path.join(bin, 'graphdriver'), `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`)
    chmodSync(path.join(bin, 'graphdriver'), 0o755)
    cpSync(path.join(workspaceRoot, 'tooling/demo-image/demo.oci.tar'), path.join(directory, 'demo.tar'))
    this.#environment = {
      PATH: [bin, path.dirname(process.execPath), process.env['PATH'] ?? ''].join(path.delimiter),
      GRAPHDRIVER_ROOT: path.join(directory, 'root'),
      ...(registry === undefined ? {} : { REGISTRY: registry }),
    }
  }

  /**
   * Does examples, those of the shell in one shell.
   *
   * @returns how many were done
   * @throws where one ends with another exit code than 0, or does not print what the page says
   */
  async perform(examples: readonly Example[]): Promise<number> {
    const script = examples.map(
      (example, index) => `${this.#deed(example, index)}\necho '${ending(index)}'\n`,
    )
    const { all, exitCode } = await execa('bash', ['-euo', 'pipefail', '-c', script.join('')], {
      cwd: this.#directory,
      env: this.#environment,
      all: true,
      reject: false,
      stdin: 'ignore',
    })
    // Whose last end of a line execa has taken.
    let rest = `${all}\n`
    for (const [index, { code, prints }] of examples.entries()) {
      const [printed = '', after] = rest.split(`${ending(index)}\n`)
      if (after === undefined) throw new Error(`exit code ${exitCode} in:\n${code}\n${rest}`)
      expectLines(code, prints, printed)
      rest = after
    }
    return examples.length
  }

  #deed({ language, code }: Example, index: number): string {
    if (language === 'sh') return code
    writeFileSync(path.join(this.#directory, `example-${index}.mjs`), code)
    return `node example-${index}.mjs`
  }
}

function ending(index: number): string {
  return `--- example ${index} is done ---`
}

function expectLines(code: string, expected: readonly string[], printed: string): void {
  const lines = printed.split('\n')
  let from = 0
  for (const line of expected) {
    const found = lines.findIndex((one, index) => index >= from && patternOf(line).test(one))
    if (found === -1) throw new Error(`'${line}' is not printed by:\n${code}\nbut:\n${printed}`)
    from = found + 1
  }
}

function patternOf(line: string): RegExp {
  const literal = line
    .split('…')
    .map((part) => part.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^\\s*${literal.join('.*')}\\s*$`)
}
