"""Models of one node, built from a plain description with the schema's own writer.

Types of operands are names of the schema, or letters that a case gives a type to.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import flatbuffers
import tflite

CODES = {n: c for n, c in vars(tflite.BuiltinOperator).items() if not n.startswith("_")}
TYPES = {n: c for n, c in vars(tflite.TensorType).items() if not n.startswith("_")}
_FORMATS = {
    "FLOAT32": "f", "FLOAT16": "e", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "UINT8": "B", "UINT32": "I", "BOOL": "?",
}  # fmt: skip
_QUANTISED = {"INT4", "INT8", "UINT8", "INT16"}
_SCALE = (0.5, 0)


@dataclass(frozen=True)
class Operand:
    """A tensor. data: its constant elements; all zeros where `constant` says no more than that.
    scale: of its quantisation; None for what its type has usually."""

    shape: tuple[int, ...]
    type: str = "T"
    data: tuple[float, ...] = ()
    constant: bool = False
    variable: bool = False
    scale: float | None = None


@dataclass(frozen=True)
class Case:
    """An operator with its operands, None where one is omitted. quantised: scale and zero point of
    the first output by its type, where the kernel asks for certain ones."""

    inputs: tuple[Operand | None, ...]
    outputs: tuple[Operand, ...]
    options: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    quantised: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    intermediates: tuple[Operand, ...] = ()


def _bytes(operand: Operand, kind: str) -> bytes:
    elements = operand.data or (0,) * math.prod(operand.shape)
    if kind == "INT4":  # two in a byte, the first in its lower half
        halves = [int(e) & 15 for e in (*elements, 0)]
        return bytes(a | b << 4 for a, b in zip(halves[::2], halves[1::2], strict=False))
    return struct.pack(f"<{len(elements)}{_FORMATS[kind]}", *elements)


class _Writer:
    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1024)
        self.buffers: list[bytes] = [b""]
        self.tensors: list[int] = []

    def vector(self, items: list[int], prepend: str, size: int = 4) -> int:
        self.b.StartVector(size, len(items), size)
        for item in reversed(items):
            getattr(self.b, prepend)(item)
        return int(self.b.EndVector())

    def tensor(self, operand: Operand, kind: str, quantised: tuple[float, int]) -> int:
        shape = self.vector(list(operand.shape), "PrependInt32")
        buffer, quantisation = 0, 0
        if operand.data or operand.constant:
            buffer = len(self.buffers)
            self.buffers.append(_bytes(operand, kind))
        if kind in _QUANTISED or (operand.scale and kind != "FLOAT32"):
            scale, zero_point = (operand.scale, 0) if operand.scale else quantised
            self.b.StartVector(4, 1, 4)
            self.b.PrependFloat32(scale)
            scales = self.b.EndVector()
            points = self.vector([zero_point], "PrependInt64", 8)
            tflite.QuantizationParametersStart(self.b)
            tflite.QuantizationParametersAddScale(self.b, scales)
            tflite.QuantizationParametersAddZeroPoint(self.b, points)
            quantisation = tflite.QuantizationParametersEnd(self.b)
        tflite.TensorStart(self.b)
        tflite.TensorAddShape(self.b, shape)
        tflite.TensorAddType(self.b, TYPES[kind])
        tflite.TensorAddBuffer(self.b, buffer)
        tflite.TensorAddIsVariable(self.b, operand.variable)
        if quantisation:
            tflite.TensorAddQuantization(self.b, quantisation)
        self.tensors.append(tflite.TensorEnd(self.b))
        return len(self.tensors) - 1

    def node(self, case: Case, inputs: list[int], outputs: list[int], inner: list[int]) -> int:
        b, options = self.b, 0
        if case.options:
            vectors = {
                name: self.vector(list(value), "PrependInt32")
                for name, value in case.fields.items()
                if isinstance(value, tuple)
            }
            getattr(tflite, f"{case.options}Start")(b)
            for name, value in case.fields.items():
                getattr(tflite, f"{case.options}Add{name}")(b, vectors.get(name, value))
            options = getattr(tflite, f"{case.options}End")(b)
        ins, outs, inner_at = (self.vector(v, "PrependInt32") for v in (inputs, outputs, inner))
        tflite.OperatorStart(b)
        tflite.OperatorAddInputs(b, ins)
        tflite.OperatorAddOutputs(b, outs)
        if inner:
            tflite.OperatorAddIntermediates(b, inner_at)
        if options:
            code = getattr(tflite.BuiltinOptions, case.options)
            tflite.OperatorAddBuiltinOptionsType(b, code)
            tflite.OperatorAddBuiltinOptions(b, options)
        return int(tflite.OperatorEnd(b))


def build(operator: str, case: Case, types: Mapping[str, str], version: int = 1) -> bytes:
    """The bytes of the model. `types` says what the letters of the operands stand for; an operator
    that is not the schema's is a custom one."""
    w = _Writer()
    b = w.b

    def add(operand: Operand | None, first_output: bool = False) -> int:
        if operand is None:
            return -1
        kind = types.get(operand.type, operand.type)
        quantised = _SCALE
        if first_output:
            quantised = case.quantised.get(kind, _SCALE)
            quantised = case.quantised.get(f"{types.get('T')}>{kind}", quantised)
        return w.tensor(operand, kind, quantised)

    inputs = [add(operand) for operand in case.inputs]
    outputs = [add(operand, i == 0) for i, operand in enumerate(case.outputs)]
    inner = [add(operand) for operand in case.intermediates]
    node = w.node(case, inputs, outputs, inner)
    computed = [
        i
        for i, o in zip(inputs, case.inputs, strict=True)
        if o and not (o.data or o.constant or o.variable)
    ]
    tensors = w.vector(w.tensors, "PrependUOffsetTRelative")
    nodes = w.vector([node], "PrependUOffsetTRelative")
    graph_in, graph_out = (w.vector(v, "PrependInt32") for v in (computed, outputs))
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    tflite.SubGraphAddInputs(b, graph_in)
    tflite.SubGraphAddOutputs(b, graph_out)
    tflite.SubGraphAddOperators(b, nodes)
    graph = tflite.SubGraphEnd(b)
    builtin = CODES.get(operator, CODES["CUSTOM"])
    custom = b.CreateString(operator) if builtin == CODES["CUSTOM"] else 0
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(builtin, 127))
    tflite.OperatorCodeAddBuiltinCode(b, builtin)
    if custom:
        tflite.OperatorCodeAddCustomCode(b, custom)
    tflite.OperatorCodeAddVersion(b, version)
    code = tflite.OperatorCodeEnd(b)
    buffers = []
    for data in w.buffers:
        # Data on a multiple of 16, as the schema asks for.
        at = 0
        if data:
            b.StartVector(1, len(data), 16)
            b.head -= len(data)
            b.Bytes[b.head : b.head + len(data)] = data
            at = b.EndVector()
        tflite.BufferStart(b)
        if at:
            tflite.BufferAddData(b, at)
        buffers.append(tflite.BufferEnd(b))
    buffers_at = w.vector(buffers, "PrependUOffsetTRelative")
    codes = w.vector([code], "PrependUOffsetTRelative")
    graphs = w.vector([graph], "PrependUOffsetTRelative")
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers_at)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())
