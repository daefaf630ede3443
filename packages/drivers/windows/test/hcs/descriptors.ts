/** In Wine: `node descriptors.ts RESULTS` has its own advapi32 turn texts into descriptors, the judge of ours. */
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { descriptorTexts } from './descriptor-texts.ts'

/** What is needed of koffi, which is the dependency of another package. */
interface Koffi {
  load(file: string): { func(prototype: string): (...values: readonly unknown[]) => number }
  decode(pointer: unknown, type: string, length: number): unknown
}

const ofSys = createRequire(createRequire(import.meta.url).resolve('@graphdriver/sys'))
const koffi = ofSys('koffi') as Koffi
const advapi32 = koffi.load('advapi32.dll')
const convert = advapi32.func(
  'int ConvertStringSecurityDescriptorToSecurityDescriptorW(str16 text, uint32 revision, _Out_ void **descriptor, _Out_ uint32 *size)',
)

const found = descriptorTexts.map((text) => {
  const [descriptor, size]: [unknown[], number[]] = [[null], [0]]
  if (convert(text, 1, descriptor, size) === 0) return undefined
  const bytes: unknown = koffi.decode(descriptor[0], 'uint8_t', size[0] ?? 0)
  return Buffer.from(bytes as number[]).toString('base64')
})
writeFileSync(process.argv[2] ?? 'results', JSON.stringify(found))
