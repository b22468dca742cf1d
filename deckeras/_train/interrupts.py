"""Ctrl-C and SIGTERM, handled between two batches, because inside TensorFlow they could end the process.

SLURM, Kubernetes and Colab send SIGTERM before they kill a process. If the process has no handler for it, a training
converts it into an exception, so that files are closed and directories are released.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Self

TERMINATED = 143  # exit code as in a shell: 128 plus the number of the signal
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(SystemExit):
    """The process received SIGTERM. Python exits with code 143 if nothing catches this exception."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


class DeferredInterrupt:
    """Defers Ctrl-C and SIGTERM until the block has ended.

    Example:
        >>> from deckeras._train.interrupts import DeferredInterrupt
        >>> with DeferredInterrupt() as hold:
        ...     for part in range(3):
        ...         # Here stands what must not be left in the middle.
        ...         hold.pass_on()
    """

    def __enter__(self) -> Self:
        self._before, self._heard = {}, {}
        if threading.current_thread() is threading.main_thread():  # Only the main thread receives signals.
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self.pass_on()

    def pass_on(self) -> None:
        """Call the handlers of the signals so far, at a point where an error leaves nothing incomplete."""
        heard, self._heard = self._heard, {}
        for number, arguments in heard.items():
            self._before[number](*arguments)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard[number] = number, frame


@contextlib.contextmanager
def terminable(message: str | None = None) -> Iterator[None]:
    """Raise `Terminated` in this block on SIGTERM, unless the process has its own handler for it.

    It has no effect outside the main thread, because only the main thread receives signals.

    Args:
        message: str, default None. A warning that is then logged, for example how to resume.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number, frame):
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except Terminated:
        if message is not None:
            logging.getLogger("deckeras").warning(message)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
