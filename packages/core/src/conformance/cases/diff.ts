import { casesOf, type ConformanceCase } from '../case.ts'

export const diff: readonly ConformanceCase[] = casesOf('diff')
