import { casesOf, type ConformanceCase } from '../case.ts'

export const sizes: readonly ConformanceCase[] = casesOf('sizes')
