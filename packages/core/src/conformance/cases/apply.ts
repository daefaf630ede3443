import { casesOf, type ConformanceCase } from '../case.ts'

export const apply: readonly ConformanceCase[] = casesOf('apply')
