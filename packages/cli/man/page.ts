/** Manual pages (man(7)) of commands, from what the commands say of themselves. */
import type { Argument, Command, Option } from 'commander'

export interface PageContext {
  readonly version: string
  /** Of all pages. */
  readonly names: readonly string[]
}

export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${command.parent.name()}-${command.name()}`
}

/** @param notes paragraphs that help has after all else */
export function manualPage(command: Command, { version, names }: PageContext, notes = ''): string {
  const name = nameOf(command)
  const help = command.createHelp()
  const own = command.options.filter((option) => option.helpGroupHeading === undefined && !option.hidden)
  const everywhere = command.options.filter((option) => option.helpGroupHeading !== undefined)
  const commands = help.visibleCommands(command)
  return [
    `.TH ${quoted(name.toUpperCase())} 1 "" ${quoted(`graphdriver ${version}`)} "graphdriver"`,
    section('NAME', [`${text(name)} \\- ${text(command.description().replace(/\.$/, ''))}`]),
    section('SYNOPSIS', [`.B ${text(name.replace('-', ' '))}`, text(synopsis(command))]),
    ...(commands.length === 0
      ? []
      : [
          section(
            'COMMANDS',
            commands.flatMap((one) => item(one.name(), one.description())),
          ),
        ]),
    ...(own.length === 0 ? [] : [section('OPTIONS', own.flatMap(optionItem))]),
    ...(everywhere.length === 0 ? [] : [section('OPTIONS EVERYWHERE', everywhere.flatMap(optionItem))]),
    ...noteSections(notes),
    section('SEE ALSO', [
      names
        .filter((other) => other !== name)
        .map((other) => `.BR ${other} (1)`)
        .join('\n'),
    ]),
    '',
  ].join('\n')
}

function synopsis(command: Command): string {
  const words = command.registeredArguments.map(argumentText)
  return ['[OPTION...]', ...words, ...(command.commands.length > 0 ? ['COMMAND'] : [])].join(' ')
}

function argumentText(argument: Argument): string {
  const name = `${argument.name().toUpperCase()}${argument.variadic ? '...' : ''}`
  return argument.required ? name : `[${name}]`
}

function optionItem(option: Option): readonly string[] {
  const choices = option.argChoices === undefined ? '' : `; one of ${option.argChoices.join(', ')}`
  return item(option.flags, `${option.description}${choices}`)
}

function item(term: string, description: string): readonly string[] {
  return ['.TP', `.B ${text(term)}`, text(description)]
}

/** `Exit codes:` and indented lines become a section with the lines as they are. */
function noteSections(notes: string): readonly string[] {
  return notes
    .split('\n\n')
    .map((block) => block.trim())
    .filter((block) => block !== '')
    .map((block) => {
      const [first = '', ...rest] = block.split('\n')
      return first.endsWith(':')
        ? section(first.slice(0, -1).toUpperCase(), ['.nf', ...rest.map(text), '.fi'])
        : section('FILES', [text(block)])
    })
}

function section(title: string, lines: readonly string[]): string {
  return [`.SH ${title}`, ...lines].join('\n')
}

/** No backslash is an escape, no hyphen a dash, and no line a request. */
function text(plain: string): string {
  return plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', "'")
    .replaceAll(/^([.'])/gm, '\\&$1')
}

function quoted(plain: string): string {
  return `"${text(plain).replaceAll('"', '\\(dq')}"`
}
