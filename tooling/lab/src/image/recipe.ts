/**
 * What the test image is made of: a distribution as mmdebstrap(1) makes it, then programs that run inside of what
 * is there so far, each in a layer of its own. The programs are files in `recipe/`.
 */

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

export const baseTarOptions: readonly string[] = wholeSeconds

export const steps: readonly Step[] = [
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
]
