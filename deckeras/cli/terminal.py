"""Manage the terminal of the command: interrupts, warnings, and where output goes."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import warnings


def writable(text):
    """Return a printable text, in which bytes of a file name that are not characters are shown by their codes."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def pipes_may_close():
    """Continue even if the reader of stdout or stderr stops reading, as `head` does.

    Within the block, what is printed to a closed pipe is lost silently.
    """
    own = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream if stream is None else _Pipe(stream) for stream in own)
    try:
        yield
    finally:
        for stream in sys.stdout, sys.stderr:
            if isinstance(stream, _Pipe):
                stream.flush()
        sys.stdout, sys.stderr = own


class _Pipe:
    """A text stream whose other end may be closed."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        return self._tried(self.stream.write, text)

    def flush(self):
        self._tried(self.stream.flush)

    def _tried(self, function, *arguments):
        try:
            return function(*arguments)
        except BrokenPipeError:
            # What the stream still holds has to be written somewhere.
            with open(os.devnull, "w", encoding="ascii") as nowhere:
                os.dup2(nowhere.fileno(), self.stream.fileno())
            return None

    def __getattr__(self, name):
        return getattr(self.stream, name)


@contextlib.contextmanager
def native_log_held(*, show=False):
    """Hold back what native code writes to stderr, and print what Python writes there.

    TensorFlow logs its start to file descriptor 2, regardless of TF_CPP_MIN_LOG_LEVEL. Within the block, the descriptor
    points to a temporary file, and `sys.stderr` writes to the terminal. A stderr that is not the process's own, such as
    that of a notebook or a test, is not changed.

    Args:
        show: bool, default False. If True, nothing is held back.

    Yields:
        An object whose method `show` prints what was held back.
    """
    if show or sys.stderr is not sys.__stderr__ or sys.stderr is None:
        yield _Held(None)
        return
    own, terminal = sys.stderr, os.dup(2)
    own.flush()
    # Handlers of `logging` may write to the stream until the process ends, so it is not closed here.
    stream = open(terminal, "w", 1, own.encoding, own.errors)  # noqa: SIM115
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        sys.stderr = stream
        try:
            yield _Held(file)
        finally:
            stream.flush()
            os.dup2(terminal, 2)
            sys.stderr = own


class _Held:
    def __init__(self, file):
        self.file = file

    def show(self):
        """Print what was held back so far."""
        if self.file is not None:
            self.file.seek(0)
            sys.stderr.write(self.file.read().decode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def interruptible():
    """Raise KeyboardInterrupt again each second until it is handled.

    Python drops an exception that is raised in a callback of its garbage collector.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        raise KeyboardInterrupt

    def again(number, frame):
        # Send a signal rather than raise an exception, because parts of the training may defer interrupts.
        signal.raise_signal(signal.SIGINT)

    before = [signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGALRM, again)]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGINT, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def plain_warnings():
    """Print warnings without the line of code that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
