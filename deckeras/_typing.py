"""The types that several rooms name.

Keras and its backends do not declare types of their own, so a tensor is `Any`. Checkers see the names of Keras here
without an import of it at run time, because much of the package answers before Keras is imported.
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

# Rows as a user may give them. `Iterable` stands for data sets that give batches.
Rows: TypeAlias = (
    "npt.ArrayLike | sparse.sparray | sparse.spmatrix | h5py.Dataset | keras.utils.PyDataset | Iterable[Any]"
)


class RowArray(Protocol):
    """Rows that passed their checks: as much of an array as training and prediction use."""

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
