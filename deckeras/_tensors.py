"""Tensors of other libraries as NumPy arrays, even those that `numpy.asarray` refuses."""

from typing import Any

import numpy as np

from deckeras._typing import Array


def as_array(x: Any) -> Array:
    """Return x as `numpy.asarray` does, without the gradients of a tensor and with bfloat16 as float32.

    Args:
        x: anything.

    Raises:
        Exception: errors of any kind, from the library of x.
    """
    if isinstance(x, list | tuple):
        x = [_readable(each) for each in x]
    values = np.asarray(_readable(x))
    # NumPy has no bfloat16. The types of ml_dtypes, which TensorFlow and JAX use for it, have the kind of raw bytes.
    extended = values.dtype.kind == "V" and values.dtype.type is not np.void
    return values.astype(np.float32) if extended else values


def _readable(x: Any) -> Any:
    """Return a PyTorch tensor as one that NumPy reads: in main memory, without gradients, not of bfloat16."""
    if type(x).__module__.partition(".")[0] != "torch" or not hasattr(x, "detach"):
        return x
    x = x.detach().cpu()
    return x.float() if str(x.dtype) == "torch.bfloat16" else x
