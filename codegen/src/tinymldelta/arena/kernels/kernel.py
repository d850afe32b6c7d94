"""What one kernel takes from the arena, and the view of a node through which it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tinymldelta.arena.memory import Arena
from tinymldelta.model import Node, Tensor

INT = 4  # sizeof(int), and of a pointer, on a 32-bit target


def int_array(length: int) -> int:
    """TfLiteIntArrayGetSizeInBytes(): the length, then the elements."""
    return INT + INT * length


@dataclass(slots=True)
class Preparing:
    """A node in its kernel's Prepare(): the calls that take memory, in TFLM's words.

    handles, variables: for all nodes together, which tensors stand for which resource variables,
    and which of these have their memory. returns_tensors: whether kernels give back the tensors
    that they look at. scratch: sizes of the scratch buffers that it asked for.
    """

    arena: Arena
    structs: Mapping[str, tuple[int, int]]
    node: Node
    tensors: tuple[Tensor, ...]
    handles: dict[int, int] = field(default_factory=dict)
    variables: set[int] = field(default_factory=set)
    returns_tensors: bool = True
    scratch: list[int] = field(default_factory=list)

    def input(self, index: int) -> Tensor | None:
        """The tensor at this input; None if the node omits it."""
        return self._at(self.node.inputs, index)

    def output(self, index: int = 0) -> Tensor | None:
        return self._at(self.node.outputs, index)

    def _at(self, indices: tuple[int, ...], index: int) -> Tensor | None:
        in_node = index < len(indices) and indices[index] >= 0
        return self.tensors[indices[index]] if in_node else None

    def look(self, places: str, *, read: bool = True) -> None:
        """AllocateTempInputTensor() for "i0", AllocateTempOutputTensor() for "o0"; several by
        spaces. read: whether they are looked at again after this."""
        for place in places.split():
            index = int(place[1:])
            tensor = self.input(index) if place[0] == "i" else self.output(index)
            if tensor:
                self._take(tensor, read)

    def _take(self, tensor: Tensor, read: bool) -> None:
        """AllocateTempTfLiteTensor(): the tensor, and its quantisation beside it.

        DeallocateTempTfLiteTensor() uses that again, but for the zero points: the first of them is
        in the tensor, too. The last fields of either are never used.
        """
        unused = "sparsity" if self.returns_tensors else "quantization"
        self._take_struct("TfLiteTensor", unused, read)
        if affine(tensor):
            self._take_struct(
                "TfLiteAffineQuantization", "quantized_dimension", read and self.returns_tensors
            )
            self.arena.take(int_array(affine(tensor)), INT, read=0)

    def _take_struct(self, name: str, unused: str, read: bool) -> None:
        """unused: the first member that is never used again."""
        used, _ = self.structs[f"{name}.{unused}"]
        self.arena.take(*self.structs[name], read=used if read else 0)

    def keep(self, size: int) -> None:
        """context->AllocatePersistentBuffer()."""
        self.arena.keep(size)

    def keep_struct(self, name: str) -> None:
        self.keep(self.structs[name][0])

    def keep_dimensions(self, tensor: Tensor | None) -> None:
        """CreateWritableTensorDimsWithCopy() (kernel_util.cc)."""
        self.keep(int_array(len(tensor.shape) if tensor else 0))

    def request_scratch(self, size: int) -> None:
        """context->RequestScratchBufferInArena()."""
        self.scratch.append(size)


def affine(tensor: Tensor) -> int:
    """Of how many scales InitializeTfLiteTensorFromFlatbuffer() makes a quantisation; 0 if none."""
    q = tensor.quantisation
    return len(q.scale) if q and q.zero_point else 0


Prepare: TypeAlias = Callable[[Preparing], None]


def nothing(_: Preparing) -> None:
    """The kernel takes nothing in Prepare(), or has none."""


def looking(places: str) -> Prepare:
    """Prepare() only looks at tensors, all of them at once."""

    def prepare(k: Preparing) -> None:
        k.look(places)

    return prepare


@dataclass(frozen=True, slots=True)
class Kernel:
    """params: the struct that the operator's parser makes of its options (flatbuffer_conversions);
    data: the struct that Init() keeps. Both are names in sizes.py, "" if there is none. running:
    tensors that Eval() looks at."""

    prepare: Prepare = nothing
    params: str = ""
    data: str = ""
    running: str = ""
