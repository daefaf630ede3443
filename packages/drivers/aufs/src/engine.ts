import type { LayerFormat, OverlayWhiteouts } from '@graphdriver/archive'
import type { CallOptions, LayerId } from '@graphdriver/core'
import type { StackVolumes } from '@graphdriver/quota'

/** A layer that is mounted to be seen. */
export interface StackedLayer {
  readonly id: LayerId
  /** Nearest first; none for a base layer, which is mounted only where it has limits. */
  readonly parents: readonly LayerId[]
}

/** A layer's own directory, in a format that stays as long as this is held. */
export interface Reading extends AsyncDisposable {
  readonly whiteouts: LayerFormat
}

/** Who mounts stacks of layers in AUFS's format. */
export interface Engine {
  /** As `status` tells it. */
  readonly name: 'kernel' | 'overlay'
  /** Whether a layer's directory is exactly its changes. */
  readonly nativeDiff: { readonly native: true } | { readonly native: false; readonly reason: string }
  readonly backing: string
  /** Rows of `status` of this engine alone. */
  readonly status: readonly (readonly [string, string])[]

  isMounted(target: string): boolean

  /** From now on the layer has a child, and is only mounted for reading. @throws GD_LAYER_NOT_FOUND */
  commit(id: LayerId, options: CallOptions): Promise<void>

  /** @returns whether this call mounted it: another process may have done so at the same moment */
  mount(layer: StackedLayer, label: string | undefined): Promise<boolean>

  /** Unmounts it, even while somebody is inside. Not mounted is success. */
  unmount(layer: StackedLayer): Promise<void>

  /** @param hold mounts the layer, where only that keeps its format as it is */
  read(layer: StackedLayer, hold: () => Promise<AsyncDisposable>, options: CallOptions): Promise<Reading>

  /** Lets `apply` write a layer's changes into its directory with whiteouts of overlayfs. */
  write<T>(
    layer: StackedLayer,
    apply: (lowers: readonly string[], whiteouts: OverlayWhiteouts) => Promise<T>,
    options: CallOptions,
  ): Promise<T>

  /** Finishes what processes left that died. */
  settle(volumes: StackVolumes): Promise<void>
}
