"""What TFLM's revision of August 2021 allocates, where it differs from later ones.

Its planner is on the stack, variables are placed after the plan, and lifetimes are counted by
nodes, the first of which runs in scope 0, that of the inputs.

A bias whose zero points find no room passes for an omitted one there, so that here and there an
arena works although larger ones do not. What is predicted is enough for all larger ones, too.
"""

from __future__ import annotations

from tinymldelta.arena.allocation import Allocation
from tinymldelta.arena.greedy import ONLINE, Buffer
from tinymldelta.arena.lifetimes import bytes_of
from tinymldelta.arena.memory import align
from tinymldelta.errors import Refusal
from tinymldelta.model import Model

_NEVER = -1


class Allocation2021(Allocation):
    _CREATED = ("SimpleMemoryAllocator", "MicroAllocator")
    _RETURNS_TENSORS = False

    def _finish(self) -> int:
        """FinishModelAllocation(), CommitStaticMemoryPlan(). The plan is checked against what is
        free behind the scratch requests, although it may take their place."""
        arena, model = self._arena, self._model
        if len(model.graphs) > 1:
            raise Refusal(
                model.name,
                f"it has {len(model.graphs)} subgraphs, which TFLM of 2021 plans one over another",
                "measure it with `tmd arena MODEL --measure`, or give --arena-need",
            )
        arena.moment = "planning activations and scratch buffers"
        self._keep_scratch_handles()
        self._take_allocation_info()
        need = self._plan(self._buffers(model))
        arena.reset_temporaries()
        arena.moment = "placing activations and scratch buffers"
        self._demand_available(need)
        arena.resize_head(need)
        for tensor in model.tensors:
            if tensor.is_variable:
                arena.keep(bytes_of(tensor))
        return need

    def _buffers(self, model: Model) -> list[Buffer]:
        """AllocationInfoBuilder::AddTensors() and AddScratchBuffers()."""
        first = dict.fromkeys(model.inputs, 0)
        last = dict.fromkeys(model.outputs, len(model.nodes) - 1)
        for number, node in enumerate(model.nodes):
            for index in node.outputs:
                first.setdefault(index, number)
            for index in node.inputs:
                last[index] = max(number, last.get(index, _NEVER))
        offsets = model.offline_plan or (ONLINE,) * len(model.tensors)
        return [
            Buffer(
                align(bytes_of(t)),
                first.get(t.index, _NEVER),
                last.get(t.index, _NEVER),
                offsets[t.index],
            )
            for t in model.tensors
            if t.data is None and not t.is_variable
        ] + [Buffer(align(s.size), s.node, s.node) for s in self._scratch]
