/** Tells what the driver says of a data root, in Wine. */
import { appendFileSync } from 'node:fs'
import windows from '@graphdriver/windows'

const [results = '', name = 'vmcompute'] = process.argv.slice(2)
const api = name === 'computestorage' ? name : 'vmcompute'
const host = { root: 'C:\\probed', home: 'C:\\probed\\windowsfilter', options: { api } } as const
const probe = await windows.probe(host)
const opened = await windows.open(host).then(
  () => 'opened',
  (error: NodeJS.ErrnoException) => error.code,
)
appendFileSync(results, `${JSON.stringify({ name: 'probe', probe, opened })}\n`)
