"""Builds small `.tflite` files from a plain description, so that any single fact can be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import flatbuffers
import tflite

INT8 = tflite.TensorType.INT8
INT32 = tflite.TensorType.INT32
CODES = {n: c for n, c in vars(tflite.BuiltinOperator).items() if not n.startswith("_")}


@dataclass(frozen=True)
class TensorSpec:
    """`shape_signature` is what Keras models carry beside the shape; `data` makes it constant."""

    name: str
    shape: tuple[int, ...]
    type: int = INT8
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    data: bytes | None = None
    is_variable: bool = False
    sparse: bool = False
    shape_signature: tuple[int, ...] = ()
    buffer: int | None = None
    external: bool = False  # its data is behind the flatbuffer, in the same file
    external_buffer: int = 0  # its data is in another file (schema of 2025)
    details_type: int = 0  # another quantisation than by scale and zero point
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()


@dataclass(frozen=True)
class OperatorSpec:
    """A builtin operator by its schema name, or a custom one by a name that is not the schema's."""

    name: str
    version: int = 1
    legacy_code: int | None = None  # what the old, 8-bit field says
    new_code: int | None = None  # what the new, 32-bit field says

    @property
    def code(self) -> int:
        return CODES.get(self.name, CODES["CUSTOM"])


@dataclass(frozen=True)
class NodeSpec:
    operator: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...] = ()
    options: str = ""  # the schema's table, with these fields
    fields: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    tensors: tuple[TensorSpec, ...]
    operators: tuple[OperatorSpec, ...]
    nodes: tuple[NodeSpec, ...]
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = ()
    version: int = 3
    subgraphs: int = 1  # copies of the first
    others: tuple[ModelSpec, ...] = ()  # further subgraphs: their tensors, nodes, inputs, outputs
    signatures: int = 0
    description: str = "made by a test"
    identifier: bytes = b"TFL3"
    metadata: tuple[tuple[str, bytes], ...] = ()
    metadata_buffer: int | None = None  # instead of the buffers that the metadata is in
    external_buffers: int = 0


def default_spec() -> ModelSpec:
    """A chain of four int8 operators with constant weights: conv, reshape, dense, softmax."""
    q = {"scale": (0.5,), "zero_point": (-128,)}
    return ModelSpec(
        tensors=(
            TensorSpec("in", (1, 4, 4, 1), **q),
            TensorSpec(
                "filter", (2, 3, 3, 1), scale=(0.25, 0.5), zero_point=(0, 0), data=bytes(range(18))
            ),
            TensorSpec("bias", (2,), INT32, scale=(0.125, 0.25), zero_point=(0, 0), data=bytes(8)),
            TensorSpec("conv", (1, 4, 4, 2), **q),
            TensorSpec("shape", (2,), INT32, data=b"\x01\0\0\0\x20\0\0\0"),
            TensorSpec("flat", (1, 32), **q),
            TensorSpec("weights", (4, 32), scale=(0.1,), zero_point=(0,), data=bytes(range(128))),
            TensorSpec("dense", (1, 4), **q),
            TensorSpec("out", (1, 4), scale=(1 / 256,), zero_point=(-128,)),
        ),
        operators=(
            OperatorSpec("CONV_2D", 3),
            OperatorSpec("RESHAPE", 1),
            OperatorSpec("FULLY_CONNECTED", 4),
            OperatorSpec("SOFTMAX", 2),
        ),
        nodes=(
            NodeSpec(0, (0, 1, 2), (3,)),
            NodeSpec(1, (3, 4), (5,)),
            NodeSpec(2, (5, 6, -1), (7,)),
            NodeSpec(3, (7,), (8,)),
        ),
        outputs=(8,),
    )


def with_tensor(spec: ModelSpec, index: int, **changes: object) -> ModelSpec:
    """The same model with some fields of one tensor changed."""
    tensors = list(spec.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(spec, tensors=tuple(tensors))


def with_operator(spec: ModelSpec, name: str, version: int = 1) -> ModelSpec:
    """The same model with one more operator, applied to the output."""
    out = spec.outputs[0]
    copy = replace(spec.tensors[out], name=f"after {name}")
    return replace(
        spec,
        tensors=(*spec.tensors, copy),
        operators=(*spec.operators, OperatorSpec(name, version)),
        nodes=(*spec.nodes, NodeSpec(len(spec.operators), (out,), (len(spec.tensors),))),
        outputs=(len(spec.tensors),),
    )


class _Writer:
    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._b = flatbuffers.Builder(1024)
        self._buffers: list[tuple[bytes, bool]] = [(b"", False)]

    def _vector(self, start: Callable[..., object], items: Sequence[int], prepend: str) -> int:
        start(self._b, len(items))
        for item in reversed(items):
            getattr(self._b, prepend)(item)
        return int(self._b.EndVector())

    def _tensor(self, t: TensorSpec) -> int:
        b = self._b
        name = b.CreateString(t.name)
        shape = self._vector(tflite.TensorStartShapeVector, t.shape, "PrependInt32")
        signature = self._vector(
            tflite.TensorStartShapeSignatureVector, t.shape_signature, "PrependInt32"
        )
        scale = self._vector(
            tflite.QuantizationParametersStartScaleVector, t.scale, "PrependFloat32"
        )
        zero = self._vector(
            tflite.QuantizationParametersStartZeroPointVector, t.zero_point, "PrependInt64"
        )
        low = self._vector(tflite.QuantizationParametersStartMinVector, t.minimum, "PrependFloat32")
        high = self._vector(
            tflite.QuantizationParametersStartMaxVector, t.maximum, "PrependFloat32"
        )
        tflite.QuantizationParametersStart(b)
        if t.minimum or t.maximum:
            tflite.QuantizationParametersAddMin(b, low)
            tflite.QuantizationParametersAddMax(b, high)
        tflite.QuantizationParametersAddDetailsType(b, t.details_type)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, t.axis)
        quantisation = tflite.QuantizationParametersEnd(b)
        sparsity = None
        if t.sparse:
            tflite.SparsityParametersStart(b)
            sparsity = tflite.SparsityParametersEnd(b)
        buffer = 0
        if t.data is not None or t.external:
            buffer = len(self._buffers)
            self._buffers.append((t.data or b"", t.external))
        b.StartObject(11)  # one field more than the package's schema
        b.PrependUint32Slot(10, t.external_buffer, 0)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, t.type)
        tflite.TensorAddBuffer(b, buffer if t.buffer is None else t.buffer)
        tflite.TensorAddName(b, name)
        if t.scale or t.zero_point or t.minimum or t.maximum or t.details_type:
            tflite.TensorAddQuantization(b, quantisation)
        tflite.TensorAddIsVariable(b, t.is_variable)
        if sparsity is not None:
            tflite.TensorAddSparsity(b, sparsity)
        if t.shape_signature:
            tflite.TensorAddShapeSignature(b, signature)
        return int(tflite.TensorEnd(b))

    def _operator_code(self, op: OperatorSpec) -> int:
        b = self._b
        custom = None
        if op.code == CODES["CUSTOM"] and op.name != "CUSTOM":
            custom = b.CreateString(op.name)
        legacy = min(op.code, 127) if op.legacy_code is None else op.legacy_code
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, legacy)
        if custom is not None:
            tflite.OperatorCodeAddCustomCode(b, custom)
        tflite.OperatorCodeAddVersion(b, op.version)
        tflite.OperatorCodeAddBuiltinCode(b, op.code if op.new_code is None else op.new_code)
        return int(tflite.OperatorCodeEnd(b))

    def _node(self, node: NodeSpec) -> int:
        b = self._b
        inputs = self._vector(tflite.OperatorStartInputsVector, node.inputs, "PrependInt32")
        outputs = self._vector(tflite.OperatorStartOutputsVector, node.outputs, "PrependInt32")
        inner = self._vector(
            tflite.OperatorStartIntermediatesVector, node.intermediates, "PrependInt32"
        )
        options = self._options(node)
        tflite.OperatorStart(b)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, node.options))
            tflite.OperatorAddBuiltinOptions(b, options)
        if node.intermediates:
            tflite.OperatorAddIntermediates(b, inner)
        tflite.OperatorAddOpcodeIndex(b, node.operator)
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        return int(tflite.OperatorEnd(b))

    def _options(self, node: NodeSpec) -> int | None:
        if not node.options:
            return None
        values = {
            name: self._b.CreateString(value) if isinstance(value, str) else value
            for name, value in node.fields.items()
        }
        getattr(tflite, f"{node.options}Start")(self._b)
        for name, value in values.items():
            getattr(tflite, f"{node.options}Add{name}")(self._b, value)
        return int(getattr(tflite, f"{node.options}End")(self._b))

    def _graph(self, spec: ModelSpec) -> int:
        b = self._b
        tensors = self._vector(
            tflite.SubGraphStartTensorsVector,
            [self._tensor(t) for t in spec.tensors],
            "PrependUOffsetTRelative",
        )
        nodes = self._vector(
            tflite.SubGraphStartOperatorsVector,
            [self._node(n) for n in spec.nodes],
            "PrependUOffsetTRelative",
        )
        inputs = self._vector(tflite.SubGraphStartInputsVector, spec.inputs, "PrependInt32")
        outputs = self._vector(tflite.SubGraphStartOutputsVector, spec.outputs, "PrependInt32")
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, nodes)
        return int(tflite.SubGraphEnd(b))

    def _buffer(self, data: bytes, external: bool) -> int:
        b = self._b
        vector = b.CreateByteVector(data) if data else None
        tflite.BufferStart(b)
        if vector is not None:
            tflite.BufferAddData(b, vector)
        if external:
            tflite.BufferAddOffset(b, 1 << 20)
            tflite.BufferAddSize(b, 64)
        return int(tflite.BufferEnd(b))

    def _metadata(self, name: str, data: bytes) -> int:
        text = self._b.CreateString(name)
        self._buffers.append((data, False))
        index = len(self._buffers) - 1
        tflite.MetadataStart(self._b)
        tflite.MetadataAddName(self._b, text)
        tflite.MetadataAddBuffer(
            self._b, index if self._spec.metadata_buffer is None else self._spec.metadata_buffer
        )
        return int(tflite.MetadataEnd(self._b))

    def _empty_table(self) -> int:
        self._b.StartObject(0)
        return int(self._b.EndObject())

    def _signature(self) -> int:
        tflite.SignatureDefStart(self._b)
        return int(tflite.SignatureDefEnd(self._b))

    def build(self) -> bytes:
        b, spec = self._b, self._spec
        description = b.CreateString(spec.description)
        offsets = "PrependUOffsetTRelative"
        graphs = [self._graph(g) for g in (*[spec] * spec.subgraphs, *spec.others)]
        codes = [self._operator_code(op) for op in spec.operators]
        metadata = [self._metadata(name, data) for name, data in spec.metadata]
        external = [self._empty_table() for _ in range(spec.external_buffers)]
        buffers = [self._buffer(data, outside) for data, outside in self._buffers]
        signatures = [self._signature() for _ in range(spec.signatures)]
        code_vector = self._vector(tflite.ModelStartOperatorCodesVector, codes, offsets)
        graph_vector = self._vector(tflite.ModelStartSubgraphsVector, graphs, offsets)
        buffer_vector = self._vector(tflite.ModelStartBuffersVector, buffers, offsets)
        signature_vector = self._vector(tflite.ModelStartSignatureDefsVector, signatures, offsets)
        metadata_vector = self._vector(tflite.ModelStartMetadataVector, metadata, offsets)
        external_vector = self._vector(tflite.ModelStartBuffersVector, external, offsets)
        b.StartObject(10)  # two fields more than the package's schema
        if external:
            b.PrependUOffsetTRelativeSlot(9, external_vector, 0)
        tflite.ModelAddVersion(b, spec.version)
        tflite.ModelAddOperatorCodes(b, code_vector)
        tflite.ModelAddSubgraphs(b, graph_vector)
        tflite.ModelAddDescription(b, description)
        tflite.ModelAddBuffers(b, buffer_vector)
        tflite.ModelAddSignatureDefs(b, signature_vector)
        tflite.ModelAddMetadata(b, metadata_vector)
        b.Finish(tflite.ModelEnd(b), file_identifier=spec.identifier)
        return bytes(b.Output())


def build(spec: ModelSpec) -> bytes:
    """The `.tflite` that the description stands for, whatever sense it makes."""
    return _Writer(spec).build()


def build_shared(spec: ModelSpec, field: str, copies: int) -> bytes:
    """A model that lists one and the same tensor ("tensors") or node ("operators") many times."""

    class Sharing(_Writer):
        def _vector(self, start: Callable[..., object], items: Sequence[int], prepend: str) -> int:
            if start.__name__ == f"SubGraphStart{field.capitalize()}Vector":
                items = [*items, *[items[-1]] * copies]
            return super()._vector(start, items, prepend)

    return Sharing(spec).build()
