"""What each kernel of TFLM takes from the arena, by the operator's name in the schema.

Read off `tensorflow/lite/micro/kernels` at each revision: parameters that the parser makes, data
that Init() keeps, and in Prepare() the tensors that it looks at, what it keeps and the scratch
buffers that it requests, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tinymldelta.arena.kernels.control import CONTROL
from tinymldelta.arena.kernels.convolution import CONVOLUTION
from tinymldelta.arena.kernels.kernel import INT, Kernel, Preparing, affine, int_array
from tinymldelta.arena.kernels.kernels2021 import KERNELS_2021
from tinymldelta.arena.kernels.plain import PLAIN
from tinymldelta.arena.kernels.shaping import SHAPING
from tinymldelta.arena.kernels.special import SPECIAL, SPECIAL_2026
from tinymldelta.arena.kernels.summing import SUMMING, SUMMING_2026
from tinymldelta.tflm.kernels import KernelBuild

__all__ = ["INT", "Kernel", "Preparing", "affine", "int_array", "kernels_of"]

_REFERENCE: Final[dict[str, Mapping[str, Kernel]]] = {
    "8d404de7": {**PLAIN, **CONTROL, **CONVOLUTION, **SHAPING, **SUMMING, **SPECIAL},
    "90b983c2": {**PLAIN, **CONTROL, **CONVOLUTION, **SHAPING, **SUMMING_2026, **SPECIAL_2026},
    "9156d050": KERNELS_2021,
}

# Operators that have a kernel of their own in CMSIS-NN, which asks for other scratch buffers.
_CMSIS_NN: Final = frozenset(
    ["ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED",
     "MAXIMUM", "MAX_POOL_2D", "MINIMUM", "MUL", "PAD", "PADV2", "SOFTMAX", "SVDF", "TRANSPOSE",
     "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM"]
)  # fmt: skip


def kernels_of(build: KernelBuild) -> Mapping[str, Kernel]:
    """The kernels whose needs are known, by operator. There are none for an unknown revision."""
    reference = _REFERENCE.get(build.revision, {})
    if build.kernels == "reference":
        return reference
    return {name: kernel for name, kernel in reference.items() if name not in _CMSIS_NN}
