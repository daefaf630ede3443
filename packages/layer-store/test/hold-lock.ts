/** A process of its own that takes a lock, says so, and keeps it until its standard input ends or it is killed. */
import { once } from 'node:events'
import { lockStore } from '../src/index.ts'

const [root = '', mode = ''] = process.argv.slice(2)
await using lock = await lockStore(root, mode === 'shared' ? 'shared' : 'exclusive')
process.stdout.write('locked\n')
process.stdin.resume()
await once(process.stdin, 'end')
void lock
