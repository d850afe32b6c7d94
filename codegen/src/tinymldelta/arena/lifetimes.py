"""How long tensors and scratch buffers must stay: AllocationInfoBuilder, micro_allocation_info.cc.

Time is counted in scopes: the graph's inputs are there in scope 0, and each node opens a scope. A
node that runs subgraphs opens one more for each, with all their nodes in it. What nothing writes or
reads has scope -1, and shares its place with everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tinymldelta.arena.greedy import ONLINE, Buffer
from tinymldelta.arena.memory import align
from tinymldelta.errors import Refusal
from tinymldelta.model import Model, Tensor
from tinymldelta.model.calls import CALLERS
from tinymldelta.model.tables import ELEMENT_BITS

_NEVER = -1  # kUninitializedLifetime

# A few subgraphs that run each other twice make a tree that no device would get to the end of.
_SCOPES_MAX = 1 << 17


@dataclass(frozen=True, slots=True)
class Scratch:
    """`size` bytes that node `node` asked for while it was prepared."""

    node: int
    size: int


def bytes_of(tensor: Tensor) -> int:
    """TfLiteEvalTensorByteLength(): a 4-bit element takes a byte."""
    return tensor.elements * max(ELEMENT_BITS[tensor.type] // 8, 1)


class _Lifetimes:
    """The first scope in which something is created, and the last in which it is used."""

    def __init__(self, model: Model) -> None:
        """MarkAllocationLifetimes() of the first subgraph."""
        self._model = model
        self._scope = 0
        self.first = [_NEVER] * len(model.tensors)
        self.last = [_NEVER] * len(model.tensors)
        self.running: dict[int, tuple[int, int]] = {}  # node -> first scope of all, last of all
        self._mark(0)

    def _create(self, indices: Iterable[int]) -> None:
        for index in indices:
            if self.first[index] == _NEVER:
                self.first[index] = self._scope

    def _use(self, indices: Iterable[int]) -> None:
        for index in indices:
            if index >= 0:  # an omitted tensor is -1
                self.last[index] = self._scope

    def _mark(self, number: int) -> None:
        graph, model = self._model.graphs[number], self._model
        if self._scope > _SCOPES_MAX:
            raise Refusal(model.name, "its subgraphs run each other too often to be planned")
        self._create(graph.inputs)
        self._use(graph.inputs)
        for index in graph.nodes:
            node = model.nodes[index]
            self._scope += 1
            self._create(node.outputs)
            began, _ = self.running.get(index, (self._scope, 0))
            if model.operators[node.operator].name in CALLERS:
                for called in node.options:
                    self._scope += 1
                    self._mark(called)
            self._use((*node.inputs, *node.outputs))
            self.running[index] = began, self._scope
        self._create(graph.outputs)
        self._use(graph.outputs)


def _offline(model: Model) -> Sequence[int]:
    return model.offline_plan or (ONLINE,) * len(model.tensors)


def kept_for_good(model: Model) -> list[Tensor]:
    """Variables, which get a place of their own in the tail unless an offline plan has one
    (AllocateVariables()). It looks into the plan with numbers that begin at 0 in each subgraph."""
    offsets = _offline(model)
    return [
        model.tensors[index]
        for graph in model.graphs
        for index in graph.tensors
        if model.tensors[index].is_variable and offsets[index - graph.tensors.start] == ONLINE
    ]


def planned(model: Model, scratch: Sequence[Scratch], placed: Collection[int]) -> list[Buffer]:
    """What the planner places, in its order: tensors without data in the file, scratch buffers.

    placed: tensors for which a kernel has found a place already.
    """
    times = _Lifetimes(model)
    offsets = _offline(model)
    buffers = [
        Buffer(align(bytes_of(t)), times.first[t.index], times.last[t.index], offsets[t.index])
        for t in model.tensors
        if (
            offsets[t.index] != ONLINE
            if t.is_variable
            else t.data is None and bytes_of(t) and t.index not in placed
        )
    ]
    return buffers + [
        Buffer(align(s.size), *times.running.get(s.node, (_NEVER, _NEVER))) for s in scratch
    ]
