import { casesOf, type ConformanceCase } from '../case.ts'

export const leaks: readonly ConformanceCase[] = casesOf('leaks')
