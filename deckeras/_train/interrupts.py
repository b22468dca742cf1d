"""Ctrl-C and SIGTERM, heard between two batches: raised inside of TensorFlow, they could end the process.

SIGTERM is what SLURM, Kubernetes and Colab send before they kill a process. Where nobody has said what it should do, a
training turns it into an exception, so that files are closed and directories released.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Self

TERMINATED = 143  # as a shell has it: 128 and the number of the signal
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(SystemExit):
    """SIGTERM came. Python ends with the exit code 143 if nobody catches it."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


class DeferredInterrupt:
    """Holds Ctrl-C and SIGTERM back until the block has ended.

    Attributes:
        came: bool, whether there was one, and the block should come to its end.

    Example:
        >>> from deckeras._train.interrupts import DeferredInterrupt
        >>> with DeferredInterrupt() as hold:
        ...     while not hold.came:
        ...         break  # instead: what must not be left in the middle
    """

    came = False

    def __enter__(self) -> Self:
        self._before, self._heard = {}, {}
        if threading.current_thread() is threading.main_thread():  # the only one that signals come to
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
        """Call the handlers of what has come so far, where nothing is left in the middle if they raise an error."""
        heard, self._heard = self._heard, {}
        for number, arguments in heard.items():
            self._before[number](*arguments)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        self._heard[number] = number, frame


@contextlib.contextmanager
def terminable(message: str | None = None) -> Iterator[None]:
    """Raise `Terminated` in this block if SIGTERM comes, unless the process has a handler of its own for it.

    It does nothing outside of the main thread, to which alone signals come.

    Args:
        message: str, default None. A warning that is logged then, such as how to resume.
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
