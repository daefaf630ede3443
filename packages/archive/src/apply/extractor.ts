/** Puts the entries of one layer tar into a tree, one after another as they come. */
import { inUserNamespace } from '@graphdriver/sys'
import { randomBytes } from 'node:crypto'
import { closeSync } from 'node:fs'
import type { TarHeader } from '../tar/header.ts'
import type { TarHandler } from '../tar/parser.ts'
import type { Directory } from './directory.ts'
import { breakout, invalidEntry, nameEntry, unsupportedEntry } from './entry-error.ts'
import { baseOf, cleanName, type EntryPath, isPlainUnicode, parentOf } from './entry-path.ts'
import { FileWriter } from './file-writer.ts'
import { LayerTree } from './layer-tree.ts'
import { applyToOpen, settleFile } from './metadata.ts'
import type { ApplyRequest, ApplyResult, WhiteoutMode } from './options.ts'
import type { SideFiles } from './side-files.ts'
import { aufsLinkOf, meaningOf } from './whiteout.ts'
import { NewOwner } from '../tree/new-owner.ts'

/** POSIX asks for contiguous files to be treated as ordinary ones where there are none. */
const contiguous = 0x37

export class Extractor implements TarHandler, Disposable {
  readonly #rootPath: string
  readonly #whiteouts: WhiteoutMode
  readonly #names: ApplyRequest['names']
  readonly #check: () => void
  readonly #tree: LayerTree
  readonly #owner = new NewOwner()
  readonly #mapped: boolean = inUserNamespace()
  /** Where the content of AUFS pseudo-links waits for the links to it. */
  readonly #linkSources: string = `.graphdriver-links-${randomBytes(8).toString('hex')}`
  #hasLinkSources = false
  #file: FileWriter | undefined
  /** Where the content of the current entry goes that another thread makes. */
  #handed: SideFiles | undefined
  #entries = 0
  #tarBytes = 0
  #skippedDevices = 0

  /** @param check throws when the work is no longer wanted */
  constructor(request: ApplyRequest, check: () => void) {
    this.#rootPath = request.root
    this.#whiteouts = request.whiteouts
    this.#names = request.names
    this.#check = check
    this.#tree = new LayerTree(request, check)
  }

  header(header: TarHeader): void {
    this.#check()
    this.#entries++
    this.#tarBytes += header.realSize
    this.#naming(header, () => this.#place(header))
  }

  data(chunk: Uint8Array): void {
    this.#handed?.add(chunk)
    const file = this.#file
    if (file === undefined) return
    this.#check()
    this.#naming(file.header, () => file.write(chunk))
  }

  end(): void {
    this.#handed?.finish()
    this.#handed = undefined
    const file = this.#file
    if (file === undefined) return
    this.#naming(file.header, () => {
      file.finish()
      const isOwned = this.#owner.has(file.fd, file.header, file.parent.group)
      applyToOpen(file.fd, file.header, this.#tree.wantedXattr, isOwned)
      settleFile(file.fd, file.header)
    })
    this.#closeFile()
  }

  /** What is left to do when the archive has ended well. */
  finish(): ApplyResult {
    this.#tree.finishSide()
    this.#dropLinkSources()
    this.#tree.settleTimes()
    return {
      entries: this.#entries,
      tarBytes: this.#tarBytes,
      contentBytes: this.#tree.contentBytes,
      hasRoot: this.#tree.hasRoot,
      skippedDevices: this.#skippedDevices,
    }
  }

  [Symbol.dispose](): void {
    using _tree = this.#tree
    this.#closeFile()
    try {
      this.#dropLinkSources()
    } catch {
      // The layer has failed for a reason that matters more, and goes as a whole.
    }
  }

  #naming(header: TarHeader, action: () => void): void {
    try {
      action()
    } catch (error) {
      throw nameEntry(error, header, this.#rootPath)
    }
  }

  #place(header: TarHeader): void {
    const path = cleanName(header.name)
    if (path === undefined) throw breakout(header)
    if (this.#names === 'unicode' && !isPlainUnicode(header.name))
      throw unsupportedEntry(header, 'names are Unicode without colons on this filesystem')
    const meaning = meaningOf(path, this.#whiteouts)
    switch (meaning.kind) {
      case 'entry':
        this.#create(header, path)
        return
      case 'opaque':
        this.#tree.makeOpaque(this.#tree.directory(meaning.directory))
        return
      case 'whiteout':
        this.#whiteout(header, meaning.directory, meaning.name)
        return
      case 'aufs-link':
        if (header.type === 'file') this.#openFile(header, this.#linkDirectory(), meaning.name)
        return
      case 'bookkeeping':
    }
  }

  #whiteout(header: TarHeader, directory: EntryPath, name: string): void {
    // `.wh..` and `.wh...` would otherwise remove the directory itself, or the one above.
    if (name === '' || name === '.' || name === '..') throw invalidEntry(header, 'is a whiteout of no name')
    this.#tree.makeWhiteout(header, this.#tree.directory(directory), name)
  }

  #create(header: TarHeader, path: EntryPath): void {
    if (path === '') {
      this.#tree.makeRoot(header)
      return
    }
    if (header.type === 'hardlink') {
      this.#hardLink(header, path)
      return
    }
    const parent = this.#tree.directory(parentOf(path))
    const name = baseOf(path)
    switch (header.type) {
      case 'file':
        this.#handed = this.#tree.handOver(header, path, parent, name)
        if (this.#handed === undefined) this.#openFile(header, parent, name)
        return
      case 'directory':
        this.#tree.makeDirectory(header, parent, name)
        return
      case 'symlink':
        this.#tree.makeSymlink(header, parent, name)
        return
      case 'fifo':
        this.#tree.makeNode(header, 'fifo', parent, name)
        return
      case 'char':
      case 'block':
        this.#device(header, header.type, parent, name)
        return
      case 'other':
        if (header.typeflag === contiguous) this.#openFile(header, parent, name)
        else
          throw unsupportedEntry(
            header,
            `no file can have the type '${String.fromCharCode(header.typeflag)}'`,
          )
    }
  }

  #openFile(header: TarHeader, parent: Directory, name: string): void {
    this.#file = new FileWriter(this.#tree.makeFile(header, parent, name), header, parent)
  }

  #hardLink(header: TarHeader, path: EntryPath): void {
    const target = cleanName(header.linkName)
    if (target === undefined) throw breakout(header, header.linkName)
    const link = this.#whiteouts === 'keep' ? undefined : aufsLinkOf(target)
    if (link === undefined) this.#tree.makeHardLink(header, path, target)
    else this.#tree.makeHardLink(header, path, link, this.#linkDirectory())
  }

  /** As in moby, a user namespace gets its devices from the runtime, and images go without. */
  #device(header: TarHeader, type: 'char' | 'block', parent: Directory, name: string): void {
    if (!this.#mapped) {
      this.#tree.makeNode(header, type, parent, name)
      return
    }
    this.#tree.remove(parent, name)
    this.#skippedDevices++
  }

  #linkDirectory(): Directory {
    this.#hasLinkSources = true
    return this.#tree.directory(this.#linkSources)
  }

  #dropLinkSources(): void {
    if (!this.#hasLinkSources) return
    this.#hasLinkSources = false
    this.#tree.remove(this.#tree.directory(''), this.#linkSources)
  }

  #closeFile(): void {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) closeSync(file.fd)
  }
}
