"""The windows that a filter moves over a picture, taken apart by place and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Windows:
    """Height and width of a filter, its strides and dilations. same: padded so that a stride of 1
    keeps the size (the schema's SAME: what is odd goes below and to the right); else not at all.
    """

    filter: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    same: bool

    def _pads(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Before and behind, of height and of width."""
        before_behind = []
        sizes = zip((height, width), self.filter, self.stride, self.dilation, strict=True)
        for size, taps, stride, dilation in sizes:
            pad = 0
            if self.same:
                pad = max((-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
            before_behind.append((pad // 2, pad - pad // 2))
        return before_behind[0], before_behind[1]

    def _places(self, height: int, width: int) -> list[tuple[slice, slice]]:
        """For each place of the filter, row by row, the part of a padded picture that it meets."""
        axes = []
        for size, taps, stride, dilation in zip(
            (height, width), self.filter, self.stride, self.dilation, strict=True
        ):
            last = size - ((taps - 1) * dilation + 1)
            axes.append([slice(t * dilation, t * dilation + last + 1, stride) for t in range(taps)])
        return [(row, column) for row in axes[0] for column in axes[1]]

    def split(self, x: Array, fill: float = 0.0) -> list[Array]:
        """What each place of the filter sees of (samples, height, width, channels), or `fill`.

        As many views as the filter has places, (samples, height out, width out, channels) each.
        """
        pads = self._pads(x.shape[1], x.shape[2])
        if pads != ((0, 0), (0, 0)):
            x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
        return [x[:, rows, columns] for rows, columns in self._places(x.shape[1], x.shape[2])]

    def join(self, parts: Sequence[Array], shape: tuple[int, ...]) -> Array:
        """The transpose of `split`: gradients at what each place saw, summed into that of x."""
        above, beside = self._pads(shape[1], shape[2])
        height, width = shape[1] + sum(above), shape[2] + sum(beside)
        out = np.zeros((shape[0], height, width, shape[3]), np.float32)
        for part, (rows, columns) in zip(parts, self._places(height, width), strict=True):
            out[:, rows, columns] += part
        return out[:, above[0] : above[0] + shape[1], beside[0] : beside[0] + shape[2]]
