/**
 * What images are made of: a distribution as mmdebstrap(1) makes it, then programs that run inside of what is there
 * so far, each in a layer of its own.
 */
import path from 'node:path'

export interface Step {
  readonly name: string
  /** Runs the program's text: the program's name is `<name>.<extension>`. */
  readonly interpreter: readonly string[]
  readonly extension: string
  /** How GNU tar is to write times and holes. */
  readonly tarOptions: readonly string[]
}

/** Docker writes whole seconds, and only the time of modification. */
const wholeSeconds = ['--pax-option=delete=atime,delete=ctime,delete=mtime']
const nanoseconds = ['--pax-option=delete=atime,delete=ctime']

const shell = { interpreter: ['/bin/sh', '-ec'], extension: 'sh' }

const programs = path.join(import.meta.dirname, '../../recipe')

export interface ImageRecipe {
  /** The directory of the steps' programs. */
  readonly programs: string
  readonly baseTarOptions: readonly string[]
  readonly steps: readonly Step[]
  /** Also as a docker archive whose layers are compressed, which `docker load` takes. */
  readonly hasGzipArchive: boolean
}

/** All that a layer can hold, in no more bytes than that takes. */
export const testRecipe: ImageRecipe = {
  programs: path.join(programs, 'test'),
  baseTarOptions: wholeSeconds,
  steps: [
    { name: '02-python', ...shell, tarOptions: wholeSeconds },
    {
      name: '03-special',
      interpreter: ['/usr/bin/python3', '-c'],
      extension: 'py',
      tarOptions: [...nanoseconds, '--sparse'],
    },
    { name: '04-large', ...shell, tarOptions: nanoseconds },
    { name: '05-replaced', ...shell, tarOptions: wholeSeconds },
    { name: '06-empty', ...shell, tarOptions: wholeSeconds },
  ],
  hasGzipArchive: false,
}

/** As large as images of real life that compile programs: tens of thousands of small files, and a few large ones. */
export const benchmarkRecipe: ImageRecipe = {
  programs: path.join(programs, 'benchmark'),
  baseTarOptions: wholeSeconds,
  steps: ['02-python', '03-programs', '04-gcc', '05-large', '06-deleted'].map((name) => ({
    name,
    ...shell,
    tarOptions: wholeSeconds,
  })),
  hasGzipArchive: true,
}
