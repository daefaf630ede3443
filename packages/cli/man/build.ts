/** Writes the manual pages to dist/man, from the program's own help. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createProgram, notes } from '../src/program.ts'
import { manualPage, nameOf } from './page.ts'

const directory = path.join(import.meta.dirname, '../dist/man')
const manifest = readFileSync(path.join(import.meta.dirname, '../package.json'), 'utf8')
const { version } = JSON.parse(manifest) as { readonly version: string }

const program = createProgram(() => Promise.resolve(), version)
const commands = program.createHelp().visibleCommands(program)
const names = [program, ...commands].map(nameOf)
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
for (const command of [program, ...commands])
  writeFileSync(
    path.join(directory, `${nameOf(command)}.1`),
    manualPage(command, { version, names }, command === program ? notes : ''),
  )
