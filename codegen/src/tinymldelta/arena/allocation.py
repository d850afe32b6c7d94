"""What TFLM allocates for a model, from one allocation to the next.

Follows the constructor of MicroInterpreter and its `AllocateTensors()` (micro_interpreter.cc,
micro_allocator.cc), with the sizes that structs have on 32-bit Arm. TFLM is taken as Zephyr builds
it: without TF_LITE_STATIC_MEMORY, without compression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinymldelta.arena import greedy
from tinymldelta.arena.kernels import INT, Kernel, Preparing, affine, int_array
from tinymldelta.arena.lifetimes import Scratch, bytes_of, kept_for_good, planned
from tinymldelta.arena.memory import Arena, align
from tinymldelta.errors import Refusal
from tinymldelta.model import Model, Tensor

_SCRATCH_PER_NODE = 12  # kMaxScratchBuffersPerOp

# GreedyMemoryPlanner::per_buffer_size()
_PLANNER_STRUCTS = ("GreedyMemoryPlanner::BufferRequirements", "GreedyMemoryPlanner::ListEntry")
_PLANNER_INTS = 3

# The plan takes time in the square of the buffers, on the device even more than here.
_PLANNED_MAX = 4096


class Allocation:
    """One model's allocation, by the revisions of 2025 and 2026."""

    _CREATED: tuple[str, ...] = (
        "SingleArenaBufferAllocator",
        "GreedyMemoryPlanner",
        "MicroAllocator",
    )  # MicroAllocator::Create()
    _RETURNS_TENSORS = True

    def __init__(
        self, model: Model, structs: Mapping[str, tuple[int, int]], kernels: Sequence[Kernel]
    ) -> None:
        """structs: bytes and alignment by name; kernels: one for each node."""
        self._model = model
        self._structs = structs
        self._kernels = kernels
        self._arena = Arena()
        self._scratch: list[Scratch] = []
        self._handles: dict[int, int] = {}

    def run(self) -> tuple[Arena, int]:
        """The arena as it is at the end, and how much of it is planned."""
        self._start()
        self._initialise_nodes()
        self._prepare_nodes()
        planned = self._finish()
        self._keep_interface()
        self._run_nodes()
        return self._arena, planned

    def _keep(self, name: str, count: int = 1) -> None:
        size, alignment = self._structs[name]
        self._arena.keep(size * count, alignment)

    def _resize_scratch_requests(self) -> None:
        """The requests so far, and as many as one node may add (InitScratchBufferData(),
        FinishPrepareNodeAllocations())."""
        size, _ = self._structs["internal::ScratchBufferRequest"]
        self._arena.resize_head(size * (len(self._scratch) + _SCRATCH_PER_NODE))

    def _start(self) -> None:
        """MicroAllocator::Create() and StartModelAllocation()."""
        self._arena.moment = "starting the interpreter"
        for name in self._CREATED:
            self._keep(name)
        self._keep("MicroBuiltinDataAllocator")
        self._resize_scratch_requests()
        graphs = self._model.graphs
        self._keep("SubgraphAllocations", len(graphs))
        for graph in graphs:
            self._keep("TfLiteEvalTensor", len(graph.tensors))
        for graph in graphs:
            self._keep("NodeAndRegistration", len(graph.nodes))

    def _initialise_nodes(self) -> None:
        """PrepareNodeAndRegistrationDataFromFlatbuffer(), then InitSubgraphs()."""
        self._arena.moment = "initialising the nodes"
        for kernel in self._kernels:
            if kernel.params:
                self._keep(kernel.params)
        for kernel in self._kernels:
            if kernel.data:
                self._arena.keep(self._structs[kernel.data][0])

    def _prepare_nodes(self) -> None:
        """PrepareSubgraphs(). It ignores whether the head could be resized, and need not care: if
        not, there is no room for a plan either."""
        model, variables = self._model, set[int]()
        for index, (node, kernel) in enumerate(zip(model.nodes, self._kernels, strict=True)):
            self._arena.moment = f"preparing node {index}, {model.operators[node.operator].name}"
            view = Preparing(
                self._arena,
                self._structs,
                node,
                model.tensors,
                self._handles,
                variables,
                self._RETURNS_TENSORS,
            )
            kernel.prepare(view)
            self._arena.reset_temporaries()
            self._scratch += [Scratch(index, size) for size in view.scratch]
            self._resize_scratch_requests()

    def _finish(self) -> int:
        """FinishModelAllocation(): bytes of the plan."""
        arena, model = self._arena, self._model
        arena.moment = "planning activations and scratch buffers"
        self._keep_scratch_handles()
        arena.take(INT * len(model.graphs), INT)  # subgraph_offsets
        self._take_allocation_info()
        for variable in kept_for_good(model):
            arena.keep(bytes_of(variable))
        need = self._plan(planned(model, self._scratch, self._handles))
        arena.moment = "placing activations and scratch buffers"
        arena.resize_head(need)
        arena.demand(need)
        return need

    def _keep_scratch_handles(self) -> None:
        if self._scratch:
            self._keep("ScratchBufferHandle", len(self._scratch))

    def _take_allocation_info(self) -> None:
        size, alignment = self._structs["AllocationInfo"]
        count = len(self._model.tensors) + len(self._scratch)
        self._arena.take(size * count, alignment)

    def _plan(self, buffers: Sequence[greedy.Buffer]) -> int:
        """The planner works in what is free, between two multiples of 16 (GetAvailableMemory())."""
        if len(buffers) > _PLANNED_MAX:
            raise Refusal(
                self._model.name,
                f"{len(buffers)} activations and scratch buffers are too many to plan",
                "measure it with `tmd arena MODEL --measure`, or give --arena-need",
            )
        entry = sum(self._structs[name][0] for name in _PLANNER_STRUCTS) + _PLANNER_INTS * INT
        self._demand_available(entry * len(buffers))
        return greedy.plan(buffers)

    def _demand_available(self, size: int) -> None:
        """As much is free from a multiple of 16 to a multiple of 16."""
        arena = self._arena
        arena.demand(align(arena.temporary) + size + align(arena.tail) - arena.tail)

    def _keep_interface(self) -> None:
        """The interpreter's TfLiteTensor for each input and output of the graph."""
        arena, model = self._arena, self._model
        arena.moment = "running"
        for tensors in (model.input_tensors, model.output_tensors):
            arena.keep(INT * len(tensors))
            for tensor in tensors:
                self._keep_tensor(tensor)

    def _keep_tensor(self, tensor: Tensor) -> None:
        """AllocatePersistentTfLiteTensor()."""
        self._keep("TfLiteTensor")
        if affine(tensor):
            self._keep("TfLiteAffineQuantization")
            self._arena.keep(int_array(affine(tensor)), INT)

    def _run_nodes(self) -> None:
        """Invoke()."""
        model = self._model
        for node, kernel in zip(model.nodes, self._kernels, strict=True):
            if kernel.running:
                Preparing(self._arena, self._structs, node, model.tensors).look(kernel.running)
                self._arena.reset_temporaries()
