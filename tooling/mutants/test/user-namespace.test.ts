/** What the suite asks of drivers whose owners are mapped applies to no driver outside of a user namespace. */
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'
import { need } from '@tooling/lab'
import { expect, test } from 'vitest'

const skipped = need({ command: 'unshare', package: 'util-linux' })
const unshared = ['--user', '--map-root-user', '--mount']

test.skipIf(skipped !== undefined)(
  `the reference driver keeps to the suite in a user namespace (${skipped ?? 'as anybody'})`,
  async ({ skip }) => {
    await command('unshare', [...unshared, 'true']).catch((error: unknown) => {
      skip(true, `user namespaces are not allowed here: ${String(error)}`)
    })
    const program = path.join(import.meta.dirname, 'in-namespace.ts')
    const told: unknown = JSON.parse(await command('unshare', [...unshared, process.execPath, program]))
    expect(told).toMatchObject({
      'namespaces/unmapped-owner': 'passed',
      'namespaces/device-impossible': 'passed',
      'namespaces/held-elsewhere-remove': 'passed',
      'namespaces/any-owner': 'not-applicable',
      'namespaces/device-works': 'not-applicable',
      'namespaces/unreachable': 'cannot-run',
    })
    expect(JSON.stringify(told)).not.toContain('failed')
  },
)
