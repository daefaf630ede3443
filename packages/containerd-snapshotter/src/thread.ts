/** The file that the thread of a driver runs: it opens the driver, and makes the calls that it is sent. */
import { parentPort, workerData } from 'node:worker_threads'
import { describeFailure } from '@graphdriver/archive'
import { type CallOptions, type Driver, hostOf, loadDriver } from '@graphdriver/core'
import { fileURLToPath } from 'node:url'
import type { Aborted, Answered, Asked, CallName, Calls, Opening } from './thread-protocol.ts'

type Performances = {
  readonly [Name in CallName]: (driver: Driver, args: Calls[Name], options: CallOptions) => Promise<unknown>
}

const performances: Performances = {
  createReadWrite: (driver, [id, options]) => driver.createReadWrite(id, options),
  remove: (driver, [id], options) => driver.remove(id, options),
  // It is let go by `put`.
  async get(driver, [id]) {
    const { path, readonly } = await driver.get(id)
    return { path, readonly }
  },
  put: (driver, [id]) => driver.put(id),
  changes: (driver, [id, parent]) => driver.changes(id, parent),
  diffSize: (driver, [id, parent]) => driver.diffSize(id, parent),
  layers: (driver) => Array.fromAsync(driver.layers()),
  close: (driver) => driver.cleanup(),
}

const { module, root, driverOptions }: Opening = workerData
const running = new Map<number, AbortController>()

function tell(answer: Answered): void {
  parentPort?.postMessage(answer)
}

async function answer(number: number, action: () => Promise<unknown>): Promise<void> {
  try {
    tell({ number, ok: true, value: await action() })
  } catch (error) {
    tell({ number, ok: false, failure: describeFailure(error) })
  } finally {
    running.delete(number)
  }
}

function perform<Name extends CallName>(driver: Driver, { number, name, args }: Asked<Name>): Promise<void> {
  const controller = new AbortController()
  running.set(number, controller)
  return answer(number, () => performances[name](driver, args, { signal: controller.signal }))
}

await answer(0, async () => {
  const definition = await loadDriver(fileURLToPath(module))
  const driver = await definition.open(hostOf(definition, { root, options: driverOptions }))
  parentPort?.on('message', (message: Asked | Aborted) => {
    if ('abort' in message) running.get(message.abort)?.abort()
    else void perform(driver, message)
  })
})
