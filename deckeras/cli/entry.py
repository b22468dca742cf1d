"""Run the command as a process: its arguments, its exit code, and the errors that it prints."""

import contextlib
import os
import shlex
import sys

from deckeras._train.interrupts import TERMINATED, Terminated, terminable
from deckeras.cli import terminal
from deckeras.cli.parser import build_parser

_INTERRUPTED = 130  # the convention of shells: 128 plus the number of the signal


def main(arguments=None):
    """Run the command with these arguments (default: those of the process) and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = build_parser().parse_args(arguments)
    options.command_line = shlex.join(["deckeras", *arguments])
    with terminal.native_log_held(show=options.debug) as log, terminal.pipes_may_close():
        return _answer(options, log)


def entry_point():
    """Run the command as a process. After an interruption, end it at once: TensorFlow's threads may never end."""
    code = main()
    if code in (_INTERRUPTED, TERMINATED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _answer(options, log):
    # NumPy and the file readers are slow to import, and errors in the command line do not need them.
    from deckeras.cli import commands

    try:
        with terminal.interruptible(), terminable(), terminal.plain_warnings(), contextlib.ExitStack() as options.stack:
            found = commands.COMMANDS[options.command](options)
    except (OSError, ValueError, TypeError, ImportError, FloatingPointError) as error:
        if "keras" not in sys.modules:
            # The log may say why the backend could not be imported.
            log.show()
        if options.debug:
            import traceback

            traceback.print_exc()
        text = f"Error: {error}{' (--debug shows where)' * isinstance(error, TypeError)}"
        print(terminal.writable(text), file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Terminated) as error:
        what, code = ("Terminated", TERMINATED) if isinstance(error, Terminated) else ("Interrupted", _INTERRUPTED)
        print(f"\n{what}. {getattr(options, 'way_out', 'Nothing was written.')}", file=sys.stderr)
        return code
    except BaseException:
        log.show()
        raise
    if options.json:
        import json

        from deckeras import _records

        print(json.dumps(found, indent=2, default=_records.plain))
    return 0
