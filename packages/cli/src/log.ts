import { type LogLevel, logLevels } from './settings.ts'

/** Lines on stderr for people; what programs read is on stdout. */
export class Log {
  readonly #level: number

  constructor(level: LogLevel) {
    this.#level = logLevels.indexOf(level)
  }

  warn(message: string): void {
    this.#write('warn', message)
  }

  info(message: string): void {
    this.#write('info', message)
  }

  debug(message: string): void {
    this.#write('debug', message)
  }

  get verbose(): boolean {
    return this.#level >= logLevels.indexOf('debug')
  }

  #write(level: LogLevel, message: string): void {
    if (logLevels.indexOf(level) <= this.#level) process.stderr.write(`graphdriver: ${level}: ${message}\n`)
  }
}
