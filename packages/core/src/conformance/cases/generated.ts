import { casesOf, type ConformanceCase } from '../case.ts'

export const generated: readonly ConformanceCase[] = casesOf('generated')
