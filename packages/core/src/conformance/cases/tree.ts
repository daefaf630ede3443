import { casesOf, type ConformanceCase } from '../case.ts'

export const tree: readonly ConformanceCase[] = casesOf('tree')
