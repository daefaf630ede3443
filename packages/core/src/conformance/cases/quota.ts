import { casesOf, type ConformanceCase } from '../case.ts'

export const quota: readonly ConformanceCase[] = casesOf('quota')
