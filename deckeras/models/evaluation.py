"""The evaluation of a model on rows, by its loss and by true classes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from deckeras import distribution
from deckeras._data import checks, row_views
from deckeras._data.labels import check_labels
from deckeras._typing import Callbacks, Rows, Verbose
from deckeras.target import target_distribution


class Evaluated(keras.Model):
    """A model of soft assignments, which has a loss without labels and takes labels as `DEC.fit` does."""

    n_clusters: int

    def evaluate(
        self,
        x: Rows,
        y: npt.ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: npt.ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        r"""Return the loss of rows, and with labels also ACC, NMI and ARI.

        The loss is the mean of $\mathrm{KL}(p_i \| q_i)$, where p is the paper's target of these rows.

        Args:
            x: n rows, from any source that `DEC.fit` takes. Labels in it, as in a `tf.data.Dataset` of (rows, labels),
                are not read: pass them as y.
            y: (n,) array of true classes, numbers or text, default None. Soft targets instead, of shape
                (n, n_clusters), are evaluated as by `keras.Model.evaluate`, with the compiled loss and metrics.
            batch_size, verbose, steps, callbacks: as for `DEC.predict`.
            sample_weight: (n,) array, default None: 1 each. The weights of the rows in the loss and in the target.
            return_dict: bool, default False, as in Keras.

        Returns:
            The loss, or with labels the list [loss, acc, nmi, ari]; with `return_dict`, a dict with these names.

        Raises:
            TypeError, ValueError: the rows do not fit, as in `DEC.predict`, or y or `sample_weight` does not have one
                entry for each row.

        Example:
            >>> import numpy as np
            >>> from deckeras import DEC, dense_autoencoder
            >>> x = np.repeat(10 * np.eye(3, 4), 20, axis=0) + np.random.default_rng(0).normal(size=(60, 4))
            >>> model = DEC(dense_autoencoder(4, units=(8, 2))[0], n_clusters=3)
            >>> history = model.fit(x, max_iterations=20, verbose=0)
            >>> scores = model.evaluate(x, np.repeat([0, 1, 2], 20), verbose=0, return_dict=True)
            >>> list(scores)
            ['loss', 'acc', 'nmi', 'ari']

        Source: Xie, Girshick and Farhadi, ICML 2016, equations 2, 3 and 10.
        """
        common = {"verbose": verbose, "steps": steps, "callbacks": callbacks}
        if self._are_targets(y):
            return super().evaluate(x, y, batch_size, sample_weight=sample_weight, return_dict=return_dict, **common)
        from deckeras import metrics  # slow to import

        if not row_views.reads_itself(x):  # Errors come before any work, except for rows that are not counted yet.
            x = checks.check_rows(x, self.inputs[0].shape[1:])
            y, sample_weight = check_labels(y, len(x)), checks.check_weights(sample_weight, len(x))
        q = self.predict(x, batch_size, **common)
        y, weights = check_labels(y, len(q)), checks.check_weights(sample_weight, len(q))
        q = np.concatenate(distribution.gather(q))
        y, weights = (None if own is None else np.concatenate(distribution.gather(own)) for own in (y, weights))
        loss = np.average(metrics.divergences(target_distribution(q, sample_weight=weights), q), weights=weights)
        found = {"loss": float(loss)}
        if y is not None:
            found |= metrics.scores(y, q.argmax(axis=1))
        if return_dict:
            return found
        return list(found.values()) if y is not None else found["loss"]

    def _are_targets(self, y: Any) -> bool:
        """Return whether y is what the outputs should be, and not classes."""
        return isinstance(y, dict) or (self.n_clusters > 1 and np.shape(y)[1:] == (self.n_clusters,))
