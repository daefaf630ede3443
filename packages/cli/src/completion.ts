/** What a shell asks while somebody types: `graphdriver complete -- WORDS`. The scripts, and the answers, are those of @bomb.sh/tab. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import shell, { type Complete, ShellCompDirective } from '@bomb.sh/tab'
import tab from '@bomb.sh/tab/commander'
import { driverPriority, priorState } from '@graphdriver/core'
import { openReferenceStore } from '@graphdriver/image'
import type { Command } from 'commander'
import { settingsOf } from './settings.ts'

const program = 'graphdriver'

export function printScript(name: string): Promise<void> {
  shell.setup(program, program, name)
  return Promise.resolve()
}

interface Names {
  readonly images: readonly string[]
  readonly writable: readonly string[]
}

/** @param words as the shell gives them, after the verb: `--`, then what is typed so far */
export async function complete(commands: Command, words: readonly string[]): Promise<void> {
  const typed = parted(words[0] === '--' ? words.slice(1) : words)
  const names = await namesAt(rootIn(typed))
  const root = tab(commands, { completionCommandName: 'completions' })
  for (const command of root.commands.values()) {
    for (const argument of command.arguments.values()) {
      const known = namesFor(argument.name, names)
      if (known !== undefined) argument.handler ??= (add: Complete) => known.forEach((name) => add(name, ''))
    }
  }
  root.directive = ShellCompDirective.ShellCompDirectiveDefault
  root.parse([...typed])
}

/** An option with its value in one word as two, but for the word that is being typed. */
function parted(words: readonly string[]): readonly string[] {
  return words.flatMap((word, at) => {
    const [, option, value] = at < words.length - 1 ? (/^(--[\w-]+)=(.*)$/s.exec(word) ?? []) : []
    return option === undefined || value === undefined ? [word] : [option, value]
  })
}

/** By what help calls the operand; files are the shell's own. */
function namesFor(operand: string, { images, writable }: Names): readonly string[] | undefined {
  const words = operand.split('|')
  if (words.includes('driver')) return driverPriority
  const isImage = words.includes('image')
  const isWritable = words.includes('name')
  if (!isImage && !isWritable) return undefined
  return [...(isWritable ? writable : []), ...(isImage ? images : [])]
}

function rootIn(words: readonly string[]): string {
  const at = words.lastIndexOf('--root')
  const root = at === -1 ? undefined : words[at + 1]
  return settingsOf(root === undefined ? {} : { root }).root
}

/** Nothing where nothing can be read: whoever types is not told why. */
async function namesAt(root: string): Promise<Names> {
  const [images, writable]: [string[], string[]] = [[], []]
  try {
    for (const driver of await priorState(root)) {
      const references = await openReferenceStore({ root, driver })
      images.push(...references.list().map(({ name }) => name))
      writable.push(...readdirSync(path.join(root, 'image', driver, 'layerdb', 'mounts')))
    }
  } catch {
    // What is not there has no names.
  }
  return { images, writable }
}
