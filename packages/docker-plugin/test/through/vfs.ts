import vfs from '@graphdriver/vfs'
import { throughPlugin } from '../through.ts'

export default throughPlugin(vfs)
