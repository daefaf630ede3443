import overlay2 from '@graphdriver/overlay2'
import { throughPlugin } from '../through.ts'

export default throughPlugin(overlay2)
