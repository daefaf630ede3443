/** `node prepare.ts`: builds what guests run on, if it is not there; where that cannot be, says why, and is content. */
import { need } from '../requirement.ts'
import { guestRequirements, guestSystem } from './guest.ts'

const missing = need(...guestRequirements)
if (missing === undefined) await guestSystem()
else console.log(`no guests: ${missing}`)
