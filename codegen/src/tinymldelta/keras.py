"""A Keras callback that keeps a fine-tune close to the deployed base, so that its patch is small.

For those who can retrain; needs Keras 3 on TensorFlow (`pip install 'tinymldelta[keras]'`). Nothing
else in the package imports this module. docs/slim.md has what was measured.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

try:
    _keras: Any = importlib.import_module("keras")
except ModuleNotFoundError as error:
    raise ImportError("tinymldelta.keras needs Keras: pip install 'tinymldelta[keras]'") from error
_Callback: Any = _keras.callbacks.Callback

_FREE: Final = 1 / 3  # of the batches, before it is chosen which weights may differ
# How many axes, from behind, a kernel's scales go along when it is quantised; else 1.
_CHANNEL_AXES: Final = {"DepthwiseConv1D": 2, "DepthwiseConv2D": 2}

Reals = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass
class _Kernel:
    """A kernel that is kept close. most: the largest magnitude in each channel of the base's, of
    which its int8 scale is made; held: which weights have to be the base's.
    """

    variable: Any
    base: Reals
    most: Reals
    held: Flags

    def away(self) -> Reals:
        """How far each weight is from the base's, in parts of the largest of its channel."""
        return np.asarray(np.abs(self.variable.numpy() - self.base) / np.maximum(self.most, 1e-30))


class StayClose(_Callback):  # type: ignore[misc]
    """Lets no more than a share of the kernels' weights differ from the base's; all others stay the
    base's exactly.

        model.set_weights(base.get_weights())
        model.fit(x, y, epochs=6, callbacks=[StayClose(base, share=0.2)])

    A third of the training is free. Then those weights that went farthest, in int8 steps of their
    channel, are let go on, all others are set back, and the rest of the training makes up for it.

    base: the deployed model, or its `get_weights()`, of the structure of the one that is trained.
    share: of the weights of all trainable kernels together, from 0 to 1.
    keep_scales: keep each channel's largest weight the base's, and all others within it. Then a
    converter gives the channel the base's scale, and to each weight that is the base's its int8
    value. Batch normalisation behind the layer changes the scale, but no int8 value.

    Vectors (biases, batch normalisation) are left alone: they are few. Raises ValueError for a
    share that is none, and when training begins on another structure.
    """

    def __init__(
        self, base: Any | Sequence[npt.ArrayLike], share: float, *, keep_scales: bool = True
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}, give a number from 0 to 1")
        weights = base.get_weights() if hasattr(base, "get_weights") else base
        self._base = [np.array(weight, np.float32) for weight in weights]
        self._share = share
        self._keep_scales = keep_scales
        self._kernels: list[_Kernel] = []
        self._batches = 0
        self._free_batches: float | None = None
        self._chosen = False

    # ---- what Keras calls ----

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        shapes = [tuple(variable.shape) for variable in self.model.weights]
        wanted = [weight.shape for weight in self._base]
        if shapes != wanted:
            raise ValueError(f"the base's weights have the shapes {wanted}, the model's {shapes}")
        self._kernels = list(self._find())
        self._batches, self._chosen = 0, False
        self._free_batches = None
        if self.params.get("steps") is not None:
            self._free_batches = _FREE * self.params["epochs"] * self.params["steps"]
        self._hold()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if self._free_batches is not None and self._batches >= self._free_batches:
            self._choose()
        self._hold()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._free_batches is None:  # data without a length: now it is known
            self._free_batches = _FREE * self.params["epochs"] * self._batches

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._choose()
        self._hold()

    # ---- what comes of it ----

    def kept(self) -> tuple[int, int]:
        """How many weights of the kernels are exactly the base's, and how many there are."""
        same = [np.count_nonzero(k.variable.numpy() == k.base) for k in self._kernels]
        return int(sum(same)), sum(k.base.size for k in self._kernels)

    def _find(self) -> Iterator[_Kernel]:
        base = {id(v): weight for v, weight in zip(self.model.weights, self._base, strict=True)}
        axes = {
            id(variable): _CHANNEL_AXES.get(type(layer).__name__, 1)
            for layer in _innermost(self.model)
            for variable in layer.weights
        }
        for variable in self.model.trainable_variables:
            weight = base[id(variable)]
            if weight.ndim < 2:
                continue
            size = np.abs(weight)
            inner = tuple(range(weight.ndim - axes.get(id(variable), 1)))
            most = size.max(axis=inner, keepdims=True)
            held = (size == most) if self._keep_scales else np.zeros(weight.shape, bool)
            yield _Kernel(variable, weight, most, held)

    def _choose(self) -> None:
        """Hold all but the share that went farthest."""
        if self._chosen or not self._kernels:
            return
        self._chosen = True
        away = [kernel.away() for kernel in self._kernels]
        all_of_them = np.sort(np.concatenate([one.ravel() for one in away]))
        let_go = int(self._share * len(all_of_them))
        limit = all_of_them[-let_go - 1] if let_go < len(all_of_them) else -1.0
        for kernel, one in zip(self._kernels, away, strict=True):
            kernel.held = kernel.held | (one <= limit)

    def _hold(self) -> None:
        for kernel in self._kernels:
            now = kernel.variable.numpy()
            if self._keep_scales:
                now = np.clip(now, -kernel.most, kernel.most)
            kernel.variable.assign(np.where(kernel.held, kernel.base, now))


def _innermost(layer: Any) -> Iterator[Any]:
    """The layers of a model, and those of models in it."""
    inner = getattr(layer, "layers", None)
    if inner is None:
        yield layer
    for one in inner or ():
        yield from _innermost(one)
