/** How a call ended: `fine`, the code of an error of ours, or what else was thrown. */
export function outcomeOf(action: () => unknown): string {
  try {
    action()
    return 'fine'
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
    return String(error)
  }
}
