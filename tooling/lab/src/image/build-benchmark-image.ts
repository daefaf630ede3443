/**
 * Builds the image of benchmarks: `node build-benchmark-image.ts DIRECTORY`. A program of its own, so that flock(1) can hold others back
 * while it works, and the kernel lets them go should it die.
 */
import { make } from '../cache.ts'
import { buildImage } from './build-image.ts'
import { benchmarkRecipe } from './recipe.ts'

await make((directory) => buildImage(benchmarkRecipe, directory))
