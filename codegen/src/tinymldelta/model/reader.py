"""From the bytes of a `.tflite` to a `Model`, or one Refusal that names the file and the fault."""

from __future__ import annotations

import hashlib
import math
import struct
from pathlib import Path
from typing import Any

import tflite
from flatbuffers import number_types

from tinymldelta.errors import Refusal
from tinymldelta.model.calls import CALLERS, DEPTH_MAX, unending
from tinymldelta.model.options import OptionReader
from tinymldelta.model.schema import slot_of
from tinymldelta.model.tables import (
    ELEMENT_BITS,
    Graph,
    Layout,
    Model,
    Node,
    Operator,
    Quantisation,
    Span,
    Tensor,
)
from tinymldelta.model.walk import walk
from tinymldelta.wire.constants import MODEL_MAX

SCHEMA_VERSION = 3  # the only one that TFLM runs: micro_interpreter refuses others
_IDENTIFIER = b"TFL3"
_SHORTEST = 16
_ELEMENTS_MAX = 2**31 - 1
_DIMENSIONS_MAX = 255  # a rank is one byte under the in/out hash; TFLM's kernels take 8 at most
_INTERFACE_MAX = 65535  # the same hash counts in and out tensors in two bytes each
_OFFLINE_PLAN = b"OfflineMemoryAllocation"  # name of the metadata, micro_allocation_info.cc

TYPE_NAMES: dict[int, str] = {
    code: name for name, code in vars(tflite.TensorType).items() if not name.startswith("_")
}
_OPERATOR_NAMES: dict[int, str] = {
    code: name
    for name, code in vars(tflite.BuiltinOperator).items()
    if not name.startswith("_") and name != "PLACEHOLDER_FOR_GREATER_OP_CODES"
}
_CUSTOM: int = tflite.BuiltinOperator.CUSTOM


def operator_name(code: int) -> str:
    """What the schema calls a builtin operator; of one that it does not know, its code."""
    return _OPERATOR_NAMES.get(code, f"operator {code}")


def operator_code(name: str) -> int | None:
    """The code of a builtin operator, or None if the schema knows none of that name."""
    return next((code for code, known in _OPERATOR_NAMES.items() if known == name), None)


class _Reader:
    """Reads tables that the walk has checked; what they say is checked here."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._model = tflite.Model.GetRootAsModel(data, 0)
        self._options = OptionReader()

    def fault(self, what: str, fix: str = "export the model again") -> Refusal:
        return Refusal(self._name, what, fix)

    def read(self) -> Model:
        m = self._model
        if m.Version() != SCHEMA_VERSION:
            raise self.fault(
                f"schema version {m.Version()}; TensorFlow Lite Micro runs version "
                f"{SCHEMA_VERSION}",
                "convert it with a current converter",
            )
        if m.SubgraphsLength() == 0:
            raise self.fault("it has no subgraph")
        if m.SignatureDefsLength() > 1:
            raise self.fault(
                f"{m.SignatureDefsLength()} signatures; at most one is supported",
                "export one signature",
            )
        if any(
            self._vector("Model", f, m, 4) for f in ("external_buffer_groups", "external_buffers")
        ):
            raise self.fault("it keeps data in other files", "export it in one piece")
        layout = self.layout()
        operators, tensors, nodes = layout.operators, layout.tensors, layout.nodes
        graphs = self._graphs()
        looping = unending(layout, graphs)
        if looping is not None:
            raise self.fault(f"subgraph {looping} runs itself, or others {DEPTH_MAX} deep")
        inputs, outputs = graphs[0].inputs, graphs[0].outputs
        if not inputs or not outputs:
            raise self.fault(f"the graph has no {'outputs' if inputs else 'inputs'}")
        if not graphs[0].nodes:
            raise self.fault("the graph has no operators")
        if max(len(inputs), len(outputs)) > _INTERFACE_MAX:
            raise self.fault(f"the graph has {len(inputs)} inputs and {len(outputs)} outputs")
        for index in (*inputs, *outputs):
            self._check_interface(tensors[index])
        return Model(
            name=self._name,
            length=len(self._data),
            sha256=hashlib.sha256(self._data).digest(),
            schema_version=m.Version(),
            description=self._text(m.Description()),
            operators=operators,
            tensors=tensors,
            nodes=nodes,
            graphs=graphs,
            offline_plan=self._offline_plan(len(tensors)),
        )

    def layout(self) -> Layout:
        """Operators, and tensors and nodes of every subgraph, numbered through."""
        m = self._model
        operators = tuple(self._operator(i) for i in range(m.OperatorCodesLength()))
        tensors: list[Tensor] = []
        nodes: list[Node] = []
        for g in range(m.SubgraphsLength()):
            graph, first = m.Subgraphs(g), len(tensors)
            tensors += [
                self._tensor(graph.Tensors(i), first + i) for i in range(graph.TensorsLength())
            ]
            nodes += [
                self._node(
                    graph.Operators(i), len(nodes) + i, operators, len(tensors) - first
                ).moved(first)
                for i in range(graph.OperatorsLength())
            ]
        return Layout(operators, tuple(tensors), tuple(nodes))

    def _graphs(self) -> tuple[Graph, ...]:
        """Where each subgraph begins and ends in that numbering, and what goes in and out."""
        m = self._model
        graphs: list[Graph] = []
        tensor = node = 0
        for g in range(m.SubgraphsLength()):
            graph = m.Subgraphs(g)
            where = f"subgraph {g}'s" if g else "the graph's"
            inputs, outputs = (
                self._indices(
                    graph, field, f"{where} {field.lower()}", graph.TensorsLength(), optional=False
                )
                for field in ("Inputs", "Outputs")
            )
            graphs.append(
                Graph(
                    range(tensor, tensor + graph.TensorsLength()),
                    range(node, node + graph.OperatorsLength()),
                    tuple(tensor + i for i in inputs),
                    tuple(tensor + i for i in outputs),
                )
            )
            tensor, node = graphs[-1].tensors.stop, graphs[-1].nodes.stop
        return tuple(graphs)

    def _text(self, raw: bytes | None) -> str:
        return (raw or b"").decode("utf-8", errors="replace")

    def _operator(self, index: int) -> Operator:
        entry = self._model.OperatorCodes(index)
        # Old files have only the first field, new ones put 127 there for codes beyond it. The
        # larger counts, as in TFLM's GetBuiltinCode. entry.BuiltinCode() would give the first for
        # codes below 127, whatever the second says.
        new = self._scalar("OperatorCode", "builtin_code", entry, number_types.Int32Flags)
        code = max(entry.DeprecatedBuiltinCode(), new)
        version = entry.Version()
        if version < 1:
            raise self.fault(f"operator {index} has version {version}")
        if code == _CUSTOM:
            raw = entry.CustomCode()
            try:
                name = (raw or b"").decode("utf-8")
            except UnicodeDecodeError as error:
                raise self.fault(f"custom operator {index} has a name that is no text") from error
            if not name or len(raw or b"") > 255:
                raise self.fault(f"custom operator {index} has no name, or one beyond 255 bytes")
            return Operator(code, name, True, version)
        if code not in _OPERATOR_NAMES:
            raise self.fault(f"operator {index} has code {code}, which the schema does not know")
        return Operator(code, _OPERATOR_NAMES[code], False, version)

    def _scalar(self, table: str, field: str, entry: Any, kind: Any) -> int:
        """A field that the tflite package does not know, or changes. 0 if it is absent."""
        offset = entry._tab.Offset(4 + 2 * slot_of(table, field))
        return int(entry._tab.Get(kind, offset + entry._tab.Pos)) if offset else 0

    def _vector(self, table: str, field: str, entry: Any, size: int) -> Span | None:
        """Where a vector of elements of `size` bytes stands. None if it is absent or empty."""
        offset = int(entry._tab.Offset(4 + 2 * slot_of(table, field)))
        if offset == 0 or entry._tab.VectorLen(offset) == 0:
            return None
        return Span(int(entry._tab.Vector(offset)), int(entry._tab.VectorLen(offset)) * size)

    def _quantisation(self, tensor: Any, where: str, shape: tuple[int, ...]) -> Quantisation | None:
        q = tensor.Quantization()
        if q is None:
            return None
        if q.DetailsType():
            raise self.fault(
                f"{where} has a quantisation other than by scale and zero point",
                "convert it with TensorFlow Lite's own quantisation",
            )
        spans = [
            self._vector("QuantizationParameters", field, q, size)
            for field, size in (("scale", 4), ("zero_point", 8), ("min", 4), ("max", 4))
        ]
        if not any(spans):
            return None
        scale = tuple(float(q.Scale(i)) for i in range(q.ScaleLength()))
        zero_point = tuple(int(q.ZeroPoint(i)) for i in range(q.ZeroPointLength()))
        axis = q.QuantizedDimension()
        if len(scale) != len(zero_point) and len(zero_point) not in (0, 1):
            raise self.fault(f"{where} has {len(scale)} scales and {len(zero_point)} zero points")
        if zero_point and not scale:
            raise self.fault(f"{where} has zero points and no scale")
        if not all(math.isfinite(s) for s in scale):
            raise self.fault(f"{where} has a scale that is no finite number")
        if len(scale) > 1:
            # Converters before 2020 wrote the axis of the weights (3) on biases, which have one.
            along = 0 if len(shape) == 1 else axis
            if not 0 <= along < len(shape):
                raise self.fault(f"{where} is quantised along dimension {axis} of {len(shape)}")
            if len(scale) != shape[along]:
                raise self.fault(
                    f"{where} has {len(scale)} scales along dimension {along} of the "
                    f"shape {list(shape)}"
                )
        return Quantisation(scale, zero_point, axis, *spans)

    def _tensor(self, tensor: Any, index: int) -> Tensor:
        name = self._text(tensor.Name())
        where = f"tensor {index} ({name!r})" if name else f"tensor {index}"
        code = tensor.Type()
        type_name = TYPE_NAMES.get(code, "")
        if type_name not in ELEMENT_BITS:
            raise self.fault(
                f"{where} has element type {type_name or code}, which "
                "TensorFlow Lite Micro does not run"
            )
        if tensor.ShapeLength() > _DIMENSIONS_MAX:
            raise self.fault(f"{where} has {tensor.ShapeLength()} dimensions")
        shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
        if any(dimension < 0 for dimension in shape):
            raise self.fault(
                f"{where} has the dynamic shape {list(shape)}",
                "convert it with a fixed batch size and fixed dimensions",
            )
        if math.prod(shape) > _ELEMENTS_MAX:
            raise self.fault(f"{where} has the impossible shape {list(shape)}")
        if self._scalar("Tensor", "external_buffer", tensor, number_types.Uint32Flags):
            raise self.fault(f"{where} keeps its data in another file", "export it in one piece")
        if tensor.Sparsity() is not None:
            raise self.fault(f"{where} is sparse", "convert it without sparsity")
        buffer = tensor.Buffer()
        if buffer >= self._model.BuffersLength():
            raise self.fault(f"{where} names buffer {buffer} of {self._model.BuffersLength()}")
        return Tensor(
            index=index,
            name=name,
            type=type_name,
            type_code=code,
            shape=shape,
            quantisation=self._quantisation(tensor, where, shape),
            data=self._constant(buffer, where, math.prod(shape), ELEMENT_BITS[type_name]),
            buffer=buffer,
            is_variable=bool(tensor.IsVariable()),
        )

    def _constant(self, buffer: int, where: str, elements: int, bits: int) -> Span | None:
        table = self._model.Buffers(buffer)
        if table.Offset() > 1 or table.Size() > 1:
            raise self.fault(
                f"{where} keeps its data outside the flatbuffer",
                "export it in one piece, below 2 GB",
            )
        span = self._vector("Buffer", "data", table, 1)
        if span is not None and span.length != (elements * bits + 7) // 8:
            raise self.fault(
                f"{where} has {span.length} bytes of data and needs {(elements * bits + 7) // 8}"
            )
        return span

    def _node(self, node: Any, index: int, operators: tuple[Operator, ...], tensors: int) -> Node:
        where = f"node {index}"
        if node.OpcodeIndex() >= len(operators):
            raise self.fault(f"{where} names operator {node.OpcodeIndex()} of {len(operators)}")
        if node.LargeCustomOptionsOffset() > 1:
            raise self.fault(
                f"{where} keeps its options outside the flatbuffer",
                "export it in one piece, below 2 GB",
            )
        return Node(
            node.OpcodeIndex(),
            self._indices(node, "Inputs", f"{where}'s inputs", tensors, optional=True),
            self._indices(node, "Outputs", f"{where}'s outputs", tensors, optional=False),
            self._indices(
                node, "Intermediates", f"{where}'s intermediates", tensors, optional=True
            ),
            self._node_options(node, operators[node.OpcodeIndex()], where),
        )

    def _node_options(self, node: Any, operator: Operator, where: str) -> tuple[int, ...]:
        options = self._options.read(node, operator)
        if options is None:
            raise self.fault(f"{where} is {operator.name} and has no options")
        graphs = self._model.SubgraphsLength()
        if operator.name in CALLERS and not all(0 <= graph < graphs for graph in options):
            raise self.fault(f"{where} runs subgraph {max(options)} of {graphs}")
        return options

    def _indices(
        self, table: Any, field: str, where: str, tensors: int, *, optional: bool
    ) -> tuple[int, ...]:
        get, length = getattr(table, field), getattr(table, f"{field}Length")
        indices = tuple(int(get(i)) for i in range(length()))
        for index in indices:
            if not (-1 if optional else 0) <= index < tensors:
                raise self.fault(f"{where} name tensor {index} of {tensors}")
        return indices

    def _offline_plan(self, tensors: int) -> tuple[int, ...]:
        """The last plan in the metadata, as TFLM takes it: i32 version, subgraph, n, n offsets."""
        plan: tuple[int, ...] = ()
        for i in range(self._model.MetadataLength()):
            entry = self._model.Metadata(i)
            if entry.Name() != _OFFLINE_PLAN:
                continue
            buffer, buffers = entry.Buffer(), self._model.BuffersLength()
            if buffer >= buffers:
                raise self.fault(f"the offline memory plan is in buffer {buffer} of {buffers}")
            span = self._vector("Buffer", "data", self._model.Buffers(buffer), 1)
            if span is None or span.length < 12 + 4 * tensors:
                raise self.fault(f"the offline memory plan is too short for {tensors} tensors")
            _, _, count, *offsets = struct.unpack_from(f"<{3 + tensors}i", self._data, span.offset)
            if count != tensors or any(offset < -1 for offset in offsets):
                raise self.fault(f"the offline memory plan does not fit the {tensors} tensors")
            plan = tuple(offsets)
        return plan

    def _check_interface(self, tensor: Tensor) -> None:
        where = f"in or out tensor {tensor.index} ({tensor.name!r})"
        if tensor.quantisation and any(s <= 0 for s in tensor.quantisation.scale):
            raise self.fault(f"{where} has a scale that is not positive")
        if len(tensor.shape) > 0 and 0 in tensor.shape:
            raise self.fault(f"{where} has the empty shape {list(tensor.shape)}")


def read_model(data: bytes, name: str) -> Model:
    """Read a model. `name` is what messages call it.

    Raises Refusal for anything that is not a well-formed model of fixed shapes; no other exception
    whatever the bytes.
    """
    return _checked(data, name).read()


def read_layout(data: bytes, name: str) -> Layout:
    """Read what lies where in a model of any number of subgraphs, whether TFLM can run it or not.

    Raises Refusal for what is not well-formed or has no fixed shapes; no other exception.
    """
    return _checked(data, name).layout()


def _checked(data: bytes, name: str) -> _Reader:
    """A reader of a file that is one table tree without a fault."""
    if not data:
        raise Refusal(name, "the file is empty", "give a .tflite model")
    if len(data) > MODEL_MAX:
        raise Refusal(name, f"{len(data)} bytes are too many for a model", "")
    if len(data) < _SHORTEST:
        raise Refusal(name, f"{len(data)} bytes are too few for a model", "give a .tflite model")
    if data[4:8] != _IDENTIFIER:
        raise Refusal(name, "not a TFLite model: bytes 4 to 7 are not TFL3", "give a .tflite model")
    walk(data, name)
    return _Reader(data, name)


def read_model_file(path: Path) -> Model:
    """Read a model from a file. Refuses one that cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refusal(str(path), f"cannot be read: {error.strerror}", "check the name") from error
    return read_model(data, str(path))
