"""The terminal around the command: interrupts, warnings, and what is printed where."""

import contextlib
import signal
import sys
import threading
import warnings


def writable(text):
    """Return a text that can be printed, with bytes of file names that are no characters as their numbers."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def to_stderr(wanted):
    """Let what Keras prints of its progress go where it is in nobody's way."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def interruptible():
    """Interrupt again each second until it is heard: Python drops what is raised inside a callback of its collector."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        raise KeyboardInterrupt

    def again(number, frame):
        signal.raise_signal(signal.SIGINT)  # which may be held back for the moment

    before = [signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGALRM, again)]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGINT, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def plain_warnings():
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
