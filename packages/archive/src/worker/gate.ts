/** What a worker may have to wait for in the middle of a job: something that ends on the main thread. */

/** Crosses threads without being copied. */
export type SharedGate = SharedArrayBuffer

const state = { shut: 0, open: 1, broken: 2 } as const
/** How often a thread that waits looks whether it is still wanted. */
const lookMilliseconds = 50

/** A gate that opens when a promise resolves. @param onBroken is called when it rejects */
export function gateOf(promise: Promise<unknown>, onBroken: (reason: unknown) => void): SharedGate {
  const gate = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const settle = (value: number): void => {
    const control = new Int32Array(gate)
    Atomics.store(control, 0, value)
    Atomics.notify(control, 0)
  }
  promise.then(
    () => settle(state.open),
    (reason: unknown) => {
      onBroken(reason)
      settle(state.broken)
    },
  )
  return gate
}

/** Blocks the thread until the gate is open. @param check throws when the work is no longer wanted */
export function passGate(gate: SharedGate, check: () => void): void {
  const control = new Int32Array(gate)
  while (Atomics.load(control, 0) !== state.open) {
    check()
    Atomics.wait(control, 0, state.shut, lookMilliseconds)
  }
}

/** Blocks the thread for so long, or until the gate is open. */
export function restAt(gate: SharedGate, milliseconds: number): void {
  Atomics.wait(new Int32Array(gate), 0, state.shut, milliseconds)
}
