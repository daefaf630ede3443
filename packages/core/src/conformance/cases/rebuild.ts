import type { LayerId } from '../../id.ts'
import type { CaseContext } from '../context.ts'
import type { Recipe } from '../recipe/step.ts'

/**
 * Does the recipes in a stack of layers, then carries each layer's diff over to a second stack, as build, commit and
 * pull do. Both stacks must show what the recipes make of a plain directory, at each height.
 */
export async function rebuild(context: CaseContext, recipes: readonly Recipe[]): Promise<void> {
  let [built, carried]: [LayerId?, LayerId?] = []
  for (const [height, recipe] of recipes.entries()) {
    const below: LayerId | undefined = built
    built = await context.layer(`built${height}`, below, recipe)
    carried = await context.transplant(`carried${height}`, carried, built, below)
    await context.shows(built, ...recipes.slice(0, height + 1))
    await context.showsApplied(carried, ...recipes.slice(0, height + 1))
  }
}
