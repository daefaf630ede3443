/** Options without a driver's name are nobody's here, where there are two. */
export function ofDriver(options: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(options).filter(([key]) => key.startsWith(`${name}.`)))
}
