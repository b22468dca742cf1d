"""Ctrl-C, heard between two batches: raised inside of TensorFlow while it traces a function, it can end the process."""

import signal
import threading


class DeferredInterrupt:
    """Holds an interrupt of the user back until the block has ended.

    Attributes:
        came: bool, whether there is one, and the block should come to its end.

    Example:
        >>> from deckeras._train.interrupts import DeferredInterrupt
        >>> with DeferredInterrupt() as hold:
        ...     while not hold.came:
        ...         break  # instead: what must not be left in the middle
    """

    came = False

    def __enter__(self):
        here = threading.current_thread() is threading.main_thread()  # the only one that signals come to
        self._before = signal.getsignal(signal.SIGINT) if here else None
        if callable(self._before):
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_):
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)
        if self.came:
            self._before(*self._with)

    def _hear(self, *arguments):
        self.came, self._with = True, arguments
