"""Display the progress of all stages of a run on stderr."""

import contextlib
import sys
import time

import keras

from deckeras.features import computing
from deckeras.models.dec import DEC


class Progress(keras.callbacks.Callback):
    """Show the stages of a run: in a terminal with a bar and the time left, otherwise with one line per stage.

    It has no hooks for batches, because training runs several batches in one call only if no callback has such hooks.
    The stage "start" therefore lasts until the first update of the target.

    Args:
        quiet: bool, default False. If True, nothing is printed.
    """

    def __init__(self, *, quiet=False):
        super().__init__()
        self.stream = None if quiet else sys.stderr
        self.clustered = False
        self.n_pairs = self.n_epochs = 0
        self.stage: str | None = None
        self.bar: keras.utils.Progbar | None = None
        self.started = self.loss = 0.0

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error is not None and self.bar is not None:
            self._print("\n")
        self.end("stopped after " if error is not None else "")

    def begin(self, stage):
        """End the current stage, if there is one, and begin a stage with this name."""
        self.end()
        self.stage, self.started, self.n_epochs, self.bar = stage, time.perf_counter(), 0, None
        self._print(f"{stage}: ")

    def end(self, result=""):
        """End the current stage, if there is one, and print the result and the time."""
        if self.stage is None:
            return
        if self.bar is None:
            self._print(f"{result}{time.perf_counter() - self.started:.0f} s\n")
        self.stage = self.bar = None

    def features(self, rows):
        """Return a function that shows how many rows a network has processed, and how many per second.

        Args:
            rows: str, what to call the rows, such as "pictures".
        """

        def report(done, n, rate):
            if self.stream is not None and self.stream.isatty():
                computing.progress_bar(self.stream, rows)(done, n, rate)
                self.bar = self.stream
            elif done == n:
                self._print(f"{n:,} {rows}, {rate:.1f} a second, ")

        return report

    def on_train_begin(self, logs=None):
        if isinstance(self.model, DEC):
            self.clustered = True
            self.begin("clustering" if self.model.placed else "start")
        elif self.clustered:
            self.begin("decoder")
        elif self.model.name == "autoencoder":
            self.begin("pretraining")
        else:
            self.n_pairs += 1
            self.begin(f"pretraining of layer {self.n_pairs}")

    def on_epoch_begin(self, epoch, logs=None):
        if self.bar is not None or self.stage == "start" or self.stream is None or not self.stream.isatty():
            return
        self._print("\n")
        # After a resume, fewer epochs remain.
        target = self.params["epochs"] - epoch + self.n_epochs
        with self._to_stream():
            self.bar = keras.utils.Progbar(target, unit_name=self._unit(), stateful_metrics=["loss", "changed"])

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.stage == "start":
            self.begin("clustering")
        self.n_epochs += 1
        self.loss = logs["loss"]
        if self.bar is not None:
            with self._to_stream():
                self.bar.update(self.n_epochs, [(name, logs[name]) for name in ("loss", "changed") if name in logs])

    def on_train_end(self, logs=None):
        if self.bar is not None and self.n_epochs < self.bar.target:
            # The training has converged, or a callback has stopped it.
            with self._to_stream():
                self.bar.update(self.n_epochs, finalize=True)
        unit = self._unit() + "s" * (self.n_epochs != 1)
        self.end(f"{self.n_epochs:,} {unit}, loss {self.loss:.4g}, " if self.n_epochs else "restored, ")

    def _unit(self):
        return "update" if isinstance(self.model, DEC) else "epoch"

    def _to_stream(self):
        # Keras prints its bar to stdout, which is only for results.
        return contextlib.redirect_stdout(self.stream)

    def _print(self, text):
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()
