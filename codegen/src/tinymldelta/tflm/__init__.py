"""What a build of TensorFlow Lite Micro has: its operators and the identity of its kernels."""

from tinymldelta.tflm.elements import ALL_TYPES, TYPE_BITS, operator_types, type_names
from tinymldelta.tflm.kernels import (
    DEFAULT_KERNELS,
    KERNEL_SETS,
    REVISIONS,
    KernelBuild,
    kernels_text,
    parse_kernels,
)
from tinymldelta.tflm.operators import (
    BUILTINS,
    OperatorSupport,
    custom_methods,
    resolver_method,
    supported,
)

__all__ = [
    "ALL_TYPES",
    "BUILTINS",
    "DEFAULT_KERNELS",
    "KERNEL_SETS",
    "REVISIONS",
    "TYPE_BITS",
    "KernelBuild",
    "OperatorSupport",
    "custom_methods",
    "operator_types",
    "kernels_text",
    "parse_kernels",
    "resolver_method",
    "supported",
    "type_names",
]
