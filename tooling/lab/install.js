/**
 * Installs the Debian packages that tests need: `node tooling/lab/install.js`, for a bare Node 20.
 *
 * It never fails: where it cannot install it says why, and the cases concerned skip with the package's name.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'

/** Keeps a package's daemons from starting on the developer's machine (policy layer of invoke-rc.d(8)). */
const policy = '/usr/sbin/policy-rc.d'
const lists = '/var/lib/apt/lists'

const wanted = Object.keys(JSON.parse(readFileSync(new URL('debian-packages.json', import.meta.url), 'utf8')))

function run(file, ...args) {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(file, args, { env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

function missingPackages() {
  const { stdout } = run('dpkg-query', '-W', '-f', '${Package} ${db:Status-Status}\\n', ...wanted)
  const installed = new Set(stdout.split('\n'))
  return wanted.filter((name) => !installed.has(`${name} installed`))
}

function hasLists() {
  return existsSync(lists) && readdirSync(lists).some((name) => name.endsWith('_Packages'))
}

function install(packages) {
  return run('apt-get', '-q', 'install', '-y', '--no-install-recommends', ...packages)
}

/** One by one as the last resort, so that a package this release does not have costs only itself. */
function installAll(packages) {
  if (hasLists() && install(packages).status === 0) return ''
  const update = run('apt-get', '-q', 'update')
  if (install(packages).status === 0) return ''
  const errors = packages.map((name) => install([name])).filter(({ status }) => status !== 0)
  return [update, ...errors].map(({ stderr }) => stderr).join('')
}

function withoutDaemons(action) {
  if (existsSync(policy)) return action()
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return action()
  } finally {
    rmSync(policy, { force: true })
  }
}

function main() {
  if (!existsSync('/usr/bin/dpkg-query') || !existsSync('/usr/bin/apt-get')) {
    return `not a Debian system; tests that need ${wanted.join(', ')} skip where those are missing`
  }
  const missing = missingPackages()
  if (missing.length === 0) return undefined
  if (process.geteuid?.() !== 0) return `not root; tests that need ${missing.join(', ')} will skip`
  console.log(`test packages: installing ${missing.join(', ')}`)
  const errors = withoutDaemons(() => installAll(missing))
  const left = missingPackages()
  return left.length === 0 ? undefined : `apt-get could not install ${left.join(', ')}\n${errors.trimEnd()}`
}

const complaint = main()
if (complaint !== undefined) console.error(`test packages: ${complaint}`)
