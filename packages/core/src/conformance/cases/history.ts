import { casesOf, type ConformanceCase } from '../case.ts'

export const history: readonly ConformanceCase[] = casesOf('history')
