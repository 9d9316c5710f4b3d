// What every command is given. It stands by itself: the main file imports the commands, so they must not import it.

export interface Invocation {
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Said by a command that is ended by a signal, and has ended well. */
  readonly endsFine?: () => void;
}
