"""Callbacks of Keras in a training that resumes: a check for those that would be wrong, and the state of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from deckeras._typing import Array, Callbacks

# What a callback has found so far. Keras resets it when a training begins, or loses it with the process.
_STATE = {
    keras.callbacks.EarlyStopping: ("best", "best_epoch", "wait", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
}
_BEST_WEIGHTS = "best_weights"


def check(callbacks: Sequence[keras.callbacks.Callback], *, saved: bool) -> None:
    """Raise ValueError if a callback would give wrong weights in a training.

    Args:
        callbacks: list of Keras callbacks.
        saved: bool, True if the training has checkpoints of its own.
    """
    for callback in callbacks:
        if saved and isinstance(callback, keras.callbacks.BackupAndRestore):
            raise ValueError(
                "A training with checkpoint_dir should have no keras.callbacks.BackupAndRestore, which would replace "
                "the weights of the checkpoint. Received: both. Remove the callback: checkpoint_dir resumes the "
                "training."
            )
        if isinstance(callback, keras.callbacks.SwapEMAWeights) and callback.swap_on_epoch:
            raise ValueError(
                "SwapEMAWeights should not swap at each epoch, because a training that converges early would end with "
                "the weights in place of their averages. Received: swap_on_epoch=True. Remove the callback: with "
                "use_ema=True of the optimizer, a training ends with the averages."
            )


def check_stages(function: str, callbacks: Callbacks) -> None:
    """Raise ValueError for a `BackupAndRestore` in a call of several trainings, each of which would restore it.

    Args:
        function: str, the name of the function, such as "pretrain_layerwise".
        callbacks: Keras callback or list of them.
    """
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in keras.tree.flatten(callbacks or [])):
        raise ValueError(
            f"callbacks of {function} should hold no keras.callbacks.BackupAndRestore: it trains several models one "
            "after the other, and each would begin with the backup of another. To resume a training, pass "
            "checkpoint_dir."
        )


def state(callbacks: Sequence[keras.callbacks.Callback]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return what Keras's callbacks have found so far: a JSON-able dict for each, and the arrays of all by name."""
    found, arrays = [], {}
    for place, (callback, names) in enumerate(_with_state(callbacks)):
        found.append({**_kind(callback), **{name: vars(callback).get(name) for name in names}})
        for number, weights in enumerate(getattr(callback, _BEST_WEIGHTS, None) or []):
            arrays[f"{_BEST_WEIGHTS}-{place}-{number}"] = weights
    return found, arrays


def restore(
    callbacks: Sequence[keras.callbacks.Callback], found: Sequence[dict[str, Any]], arrays: dict[str, Array]
) -> None:
    """Give callbacks the state that `state` returned. Other callbacks are unchanged."""
    for place, ((callback, names), values) in enumerate(zip(_with_state(callbacks), found, strict=False)):
        if _kind(callback) != {name: values.get(name) for name in _kind(callback)}:
            continue
        for name in names:
            setattr(callback, name, values[name])
        weights = [name for name in arrays if name.startswith(f"{_BEST_WEIGHTS}-{place}-")]
        if weights:
            setattr(callback, _BEST_WEIGHTS, [arrays[f"{_BEST_WEIGHTS}-{place}-{i}"] for i in range(len(weights))])


def _with_state(
    callbacks: Sequence[keras.callbacks.Callback],
) -> Iterator[tuple[keras.callbacks.Callback, tuple[str, ...]]]:
    for callback in callbacks:
        for kind, names in _STATE.items():
            if isinstance(callback, kind):
                yield callback, names


def _kind(callback: Any) -> dict[str, Any]:
    return {"kind": type(callback).__name__, "monitor": callback.monitor}
