/** Why a snapshot call is refused, in the classes that containerd tells apart. */
export type SnapshotErrorKind = 'not-found' | 'exists' | 'precondition' | 'invalid' | 'deadline'

export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
  readonly kind: SnapshotErrorKind

  constructor(kind: SnapshotErrorKind, message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
  }
}
