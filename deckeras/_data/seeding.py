"""Seeds: one number determines everything that is random in a training."""

from __future__ import annotations

import keras
import numpy as np


def fixed_seed(seed: int | None) -> int:
    """Return the seed as an int, or a new random one for None; raise ValueError if scikit-learn could not take it."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed < 2**32:
        raise ValueError(f"seed should be a whole number from 0 to 2**32 - 1, or None. Received: seed={seed!r}")
    return int(seed)


def layer_seed(seed: int) -> int:
    """Return a seed below 2**32 in the form that Keras's layers take.

    On PyTorch, which has no uint32, layers store the seed in an int32 and read its bits as Keras's uint32, but refuse
    numbers above the largest int32.
    """
    return seed - 2**32 if seed >= 2**31 and keras.config.backend() == "torch" else seed
