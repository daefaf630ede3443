import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { getpagesize, hasCapability, idMaps, inUserNamespace, kernelVersion } from '../src/index.ts'
import { isRoot } from './scratch.ts'

const source = join(import.meta.dirname, '../src/index.ts')

/** Runs a module of its own on Node itself, which strips the types. */
function node(script: string, ...args: readonly string[]): string {
  return execFileSync(process.execPath, [...args, '--input-type=module', '-e', script], { encoding: 'utf8' })
}

it('the page size is that of getconf', () => {
  expect(getpagesize()).toBe(Number(execFileSync('getconf', ['PAGE_SIZE'], { encoding: 'utf8' })))
})

it('the version of the kernel is a pair of numbers', () => {
  const { major, minor } = kernelVersion()
  expect(execFileSync('uname', ['-r'], { encoding: 'utf8' }).startsWith(`${major}.${minor}`)).toBe(true)
})

it.skipIf(!isRoot || inUserNamespace())(
  'root outside of a user namespace has CAP_SYS_ADMIN (needs root)',
  () => {
    expect(hasCapability('CAP_SYS_ADMIN')).toBe(true)
    expect(idMaps().uids).toEqual([{ inside: 0, outside: 0, count: 4294967295 }])
  },
)

it.skipIf(!isRoot)('a user namespace is noticed (needs root and unshare)', () => {
  const script = `import { inUserNamespace } from ${JSON.stringify(source)}; console.log(inUserNamespace())`
  const args = ['--user', '--map-root-user', process.execPath, '--input-type=module', '-e', script]
  expect(execFileSync('unshare', args, { encoding: 'utf8' }).trim()).toBe('true')
})

it.skipIf(!isRoot)('a capability that was dropped is not there (needs root and setpriv)', () => {
  const script = `import { hasCapability as has } from ${JSON.stringify(source)}; console.log(has('CAP_SYS_ADMIN'), has('CAP_CHOWN'))`
  const args = [
    '--bounding-set',
    '-sys_admin',
    '--inh-caps',
    '-sys_admin',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ]
  expect(execFileSync('setpriv', args, { encoding: 'utf8' }).trim()).toBe('false true')
})

it('importing the package loads neither koffi nor execa', () => {
  const script = `
    import { createRequire } from 'node:module'
    await import(${JSON.stringify(source)})
    const loaded = process.report.getReport().sharedObjects.filter((name) => name.includes('koffi'))
    console.log(JSON.stringify(loaded), Object.keys(createRequire(import.meta.url).cache).length)`
  expect(node(script).trim()).toBe('[] 0')
})

for (const [platform, arch] of [
  ['darwin', 'arm64'],
  ['win32', 'x64'],
  ['linux', 's390x'],
] as const) {
  it(`on ${platform} ${arch} the package is imported, and a call is refused with ENOSYS`, () => {
    const preload = `Object.defineProperty(process, 'platform', { value: '${platform}' }); Object.defineProperty(process, 'arch', { value: '${arch}' })`
    const script = `
      import * as sys from ${JSON.stringify(source)}
      const errors = []
      const calls = [() => sys.openat(-100, '/', 0), () => sys.mount({ source: 'a', target: 'b' }), () => sys.lstatx('/'),
        () => sys.attachLoop('/x'), () => sys.lgetxattr('/', 'user.a')]
      for (const call of calls) {
        try { call() } catch (error) { errors.push([error.name, error.code, error.syscall].join()) }
      }
      console.log(errors.join(' '))`
    const url = `data:text/javascript,${encodeURIComponent(preload)}`
    const words = ['openat', 'mount', 'statx', 'openat', 'lgetxattr']
    const expected = words.map((word) => `UnsupportedPlatformError,ENOSYS,${word}`).join(' ')
    expect(node(script, '--import', url).trim()).toBe(expected)
  })
}

it('calls and their errors work in several threads at once', async () => {
  const script = `
    import { workerData, parentPort } from 'node:worker_threads'
    const sys = await import(workerData.source)
    let failures = 0
    for (let i = 0; i < 2000; i++) {
      const name = '/nowhere-' + workerData.index
      try { sys.openat2(-100, name, { flags: 0 }) } catch (error) {
        if (error.code === 'ENOENT' && error.path === name) failures++
      }
      try { sys.readlinkat(-100, '/') } catch (error) { if (error.code === 'EINVAL') failures++ }
      if (sys.lstatx('/').mountRoot !== true) failures = -1
    }
    parentPort.postMessage(failures)`
  const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`)
  const threads = Array.from({ length: 4 }, async (_, index) => {
    const worker = new Worker(url, { workerData: { index, source: pathToFileURL(source).href } })
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    worker.once('message', resolve)
    worker.once('error', reject)
    try {
      return await promise
    } finally {
      await worker.terminate()
    }
  })
  expect(await Promise.all(threads)).toEqual([4000, 4000, 4000, 4000])
})
