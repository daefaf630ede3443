/** What a shell is told while somebody types, and the manual. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { demoRoot, emptyRoot } from './data-root.ts'
import { demoName, graphdriver, program, succeed } from './graphdriver.ts'

/** @returns what is offered, without what is said of it and without the directive that ends it */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const lines = (await succeed(['complete', '--', ...words])).trim().split('\n')
  return lines.slice(0, -1).map((line) => line.split('\t')[0] ?? '')
}

describe('completion', () => {
  test('offers commands, options, and what an option takes', async () => {
    expect(await offered('mi')).toEqual(['migrate'])
    expect(await offered('migrate', '--f')).toEqual(['--from', '--finish'])
    expect(await offered('run', '--runtime', '')).toEqual(['runc', 'crun', 'chroot'])
    expect(await offered('bench', 'overlay')).toEqual(['overlay2', 'overlay'])
  })

  test.skipIf(need({ root: true, kernelFilesystem: 'overlay' }) !== undefined)(
    'offers images and writable layers of the root that is named',
    async () => {
      await using root = await demoRoot()
      await succeed(['--root', root.path, 'mount', demoName, '--name', 'box'])
      await succeed(['--root', root.path, 'unmount', 'box'])
      expect(await offered('--root', root.path, 'rmi', '')).toEqual([demoName])
      expect(await offered('rm', '--root', root.path, 'b')).toEqual(['box'])
      expect(await offered('mount', `--root=${root.path}`, '')).toEqual(['box', demoName])
    },
  )

  test('says nothing wrong where there is nothing', async () => {
    await using root = await emptyRoot()
    const { code, stderr } = await graphdriver(['complete', '--', '--root', root.path, 'rmi', ''])
    expect([code, stderr, existsSync(root.path)]).toEqual([0, '', false])
  })

  const helpers = '/usr/share/bash-completion/bash_completion'
  test.skipIf(!existsSync(helpers))('bash asks, and offers the answer', async () => {
    await using root = await emptyRoot()
    const bin = path.join(root.scratch, 'bin')
    mkdirSync(bin)
    writeFileSync(path.join(bin, 'graphdriver'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    chmodSync(path.join(bin, 'graphdriver'), 0o755)
    const script = `. ${helpers}; . <(graphdriver completion bash)
      COMP_WORDS=(graphdriver doc) COMP_CWORD=1 COMP_LINE='graphdriver doc' COMP_POINT=15
      __graphdriver_complete; echo "\${COMPREPLY[@]}"`
    const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` }
    expect(
      execFileSync('bash', ['-c', script], { env, stdio: ['ignore', 'pipe', 'ignore'] }).toString(),
    ).toMatch(/^doctor/)
  })

  test.each(['bash', 'zsh', 'fish', 'powershell'])('has a script for %s', async (shell) => {
    expect(await succeed(['completion', shell])).toMatch(/graphdriver'? complete.*--|'graphdriver'/)
  })

  test('of an unknown shell is refused', async () => {
    const { code, stderr } = await graphdriver(['completion', 'csh'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('bash, zsh, fish, powershell')])
  })
})

describe('manual', () => {
  const directory = fileURLToPath(new URL('../dist/man', import.meta.url))
  const pages = readdirSync(directory)

  test('has a page for every command, which says what help says', async () => {
    const [help = ''] = (await succeed(['--help'])).split('Exit codes:')
    const names = [...help.matchAll(/^ {2}([a-z][a-z-]+)(?= )/gm)].map(([, name]) => `graphdriver-${name}.1`)
    expect(names.length).toBeGreaterThan(30)
    for (const name of names) expect(pages).toContain(name)
    expect(readFileSync(path.join(directory, 'graphdriver.1'), 'utf8')).toContain('.SH EXIT CODES')
  })

  const noFormatter = need({ command: 'groff' })
  test.skipIf(noFormatter !== undefined)('is read by groff without a warning', () => {
    for (const page of pages) {
      const args = ['-man', '-Tutf8', '-ww', '-z', path.join(directory, page)]
      const told = execFileSync('sh', ['-c', 'groff "$@" 2>&1', 'sh', ...args]).toString()
      expect([page, told]).toEqual([page, ''])
    }
  })
})
