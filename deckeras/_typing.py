"""The types that several modules use.

Keras and its backends do not declare their own types, so a tensor is `Any`. Type checkers see Keras's names here, but
Keras is not imported at run time, because much of the package works before Keras is imported.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import h5py
    import keras
    from scipy import sparse

Tensor: TypeAlias = Any
Array: TypeAlias = npt.NDArray[Any]
Path: TypeAlias = str | os.PathLike[str]
Shape: TypeAlias = Sequence[int]

# Rows in any form that a user may pass. `Iterable` stands for data sets that yield batches.
Rows: TypeAlias = (
    "npt.ArrayLike | sparse.sparray | sparse.spmatrix | h5py.Dataset | keras.utils.PyDataset | Iterable[Any]"
)


class RowArray(Protocol):
    """Checked rows, with the part of NumPy's array interface that training and prediction use."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __array__(self) -> Array: ...


Init: TypeAlias = Literal["kmeans", "ward", "mixture", "manifold"] | Callable[[Array, int], npt.ArrayLike]
Verbose: TypeAlias = int | Literal["auto"]
Augment: TypeAlias = "keras.Layer | Callable[[Tensor], Tensor]"
Callbacks: TypeAlias = "keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None"
Initializer: TypeAlias = "str | keras.initializers.Initializer"
Loss: TypeAlias = "str | keras.losses.Loss | Callable[[Tensor, Tensor], Tensor]"
Optimizer: TypeAlias = "str | keras.optimizers.Optimizer"
