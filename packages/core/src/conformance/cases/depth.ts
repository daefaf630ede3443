import { casesOf, type ConformanceCase } from '../case.ts'

export const depth: readonly ConformanceCase[] = casesOf('depth')
