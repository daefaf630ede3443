#!/usr/bin/env node
import { CommanderError } from 'commander'
import { describeFailure, ExitCodeError, exitCodeOf } from './failure.ts'
import { Interruption } from './interruption.ts'
import { Log } from './log.ts'
import { Output } from './output.ts'
import { completionVerb, initVerb } from './init-verb.ts'
import { createProgram } from './program.ts'
import type { Perform } from './program/parts.ts'
import { type GlobalFlags, type Settings, settingsOf } from './settings.ts'
import { readVersion } from './version.ts'

/** What the command line says before it has been understood, for errors in it. */
function guessedFlags(args: readonly string[]): GlobalFlags {
  const own = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined)
  return { json: own.includes('--json'), verbose: own.includes('--verbose') }
}

function report(error: unknown, settings: Settings): void {
  const failure = describeFailure(error, settings)
  const { code, message } = failure
  if (settings.json) process.stderr.write(`${JSON.stringify({ error: failure })}\n`)
  else process.stderr.write(`graphdriver: ${message} [${code}]\n`)
  if (settings.logLevel === 'debug' && !settings.json)
    console.error(error instanceof ExitCodeError ? error.cause : error)
}

let settings = settingsOf(guessedFlags(process.argv.slice(2)))

const perform: Perform = async (flags, action) => {
  settings = settingsOf(flags)
  using interruption = new Interruption()
  const { signal } = interruption
  const invocation = {
    settings,
    output: new Output(settings.json),
    log: new Log(settings.logLevel),
    interruption,
    signal,
  }
  process.exitCode = (await action(invocation)) ?? 0
}

// Whoever reads our output may have had enough of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(141)
  throw error
})

/** Older ones fail later, and in words that do not help. */
function whyNodeIsTooOld(): string | undefined {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 15)) return undefined
  return `node ${process.versions.node} is too old; install Node 22.15 or newer`
}

async function main(): Promise<void> {
  const complaint = whyNodeIsTooOld()
  if (complaint !== undefined) {
    process.exitCode = 1
    process.stderr.write(`graphdriver: ${complaint}\n`)
    return
  }
  const [verb, ...rest] = process.argv.slice(2)
  if (verb === initVerb) {
    const { initContainer } = await import('./runtime/chroot-init.ts')
    process.exitCode = await initContainer(rest)
    return
  }
  if (verb === completionVerb) {
    const { complete } = await import('./completion.ts')
    await complete(createProgram(perform, readVersion()), rest)
    return
  }
  try {
    await createProgram(perform, readVersion()).parseAsync()
  } catch (error) {
    // Help and version are "errors" with exit code 0.
    if (error instanceof CommanderError) process.exitCode = error.exitCode
    else {
      process.exitCode = exitCodeOf(error)
      report(error, settings)
    }
  }
}

await main()
