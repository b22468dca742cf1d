"""A watchdog for a training, which reports if the computation hangs.

A backend that waits forever for a device, another process or a file raises no error. A separate thread notices that no
batch ends.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Iterator

_PATIENCE = 300.0  # seconds, longer than it takes to compile a large model
_FACTOR = 20  # of the longest time between two batches so far
_active: contextvars.ContextVar[_Watch | None] = contextvars.ContextVar("watch", default=None)


@contextlib.contextmanager
def watched(resumption: str) -> Iterator[None]:
    """Log a warning in this block if no batch has ended for five minutes, or 20 times as long as any took before.

    Another warning follows each time that the silence has doubled. The warning says when the last batch ended and how
    long it took. It cannot detect a computation that holds Python's global lock.

    Args:
        resumption: str, a sentence on how to resume the training if the process is ended.

    Example:
        >>> from deckeras._train import watch
        >>> with watch.watched("The same call resumes."):
        ...     watch.beat()
    """
    found = _Watch(resumption, _active.get())
    token = _active.set(found)
    found.start()
    try:
        yield
    finally:
        _active.reset(token)
        found.ended.set()


def beat() -> None:
    """Tell the watches of this thread that a batch has ended."""
    found = _active.get()
    while found is not None:
        found.beat()
        found = found.outer


class _Watch(threading.Thread):
    def __init__(self, resumption: str, outer: _Watch | None) -> None:
        super().__init__(name="deckeras-watch", daemon=True)
        self.outer = outer  # the watch of the training in whose callback this training runs
        self.resumption = resumption
        self.ended = threading.Event()
        self.last, self.longest = time.monotonic(), 0.0
        self.took: float | None = None

    def beat(self) -> None:
        now = time.monotonic()
        self.took, self.last = now - self.last, now
        self.longest = max(self.longest, self.took)

    def run(self) -> None:
        last, limit = self.last, _PATIENCE
        while not self.ended.wait(max(0.0, last + limit - time.monotonic())):
            if self.last != last:
                last, limit = self.last, max(_PATIENCE, _FACTOR * self.longest)
            elif (silence := time.monotonic() - last) >= limit:
                logging.getLogger("deckeras").warning(self._message(silence))
                limit = 2 * silence

    def _message(self, silence: float) -> str:
        last = "None has ended since the training began"
        if self.took is not None:
            at = time.strftime("%H:%M:%S", time.localtime(time.time() - silence))
            last = f"The last one ended at {at}, after {self.took:.3g} s"
        return (
            f"No batch has ended for {silence:.0f} s. {last}. If the computation hangs, end the process. "
            f"{self.resumption}"
        )
