"""The part of the TFLite schema that is read, as data for the walk.

Slots are the field numbers of `schema.fbs`, counted from 0 in the order of declaration. What is not
listed is never looked at. Fields that are newer than the `tflite` package's schema (external
buffers, of 2025) are listed because a file that uses them must be refused. A table without fields
is only looked at for being there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a field holds. The size of scalars, and of a vector's elements, is in bytes."""

    SCALAR = "scalar"
    STRING = "string"
    SCALARS = "vector of scalars"
    SPAN = "vector of which only place and length are read"
    TABLE = "table"
    TABLES = "vector of tables"
    UNION = "table whose schema depends on the field before it"


@dataclass(frozen=True, slots=True)
class FieldType:
    """`size`: bytes of the scalar, or of an element; `table`: what a table or its vector holds.

    members: of a union, the tables that are read, by the value of the byte in the slot before it.
    """

    name: str
    slot: int
    kind: Kind
    size: int = 4
    table: str = ""
    members: Mapping[int, str] = field(default_factory=dict)


def _scalar(name: str, slot: int, size: int) -> FieldType:
    return FieldType(name, slot, Kind.SCALAR, size)


def _scalars(name: str, slot: int, size: int) -> FieldType:
    return FieldType(name, slot, Kind.SCALARS, size)


def _string(name: str, slot: int) -> FieldType:
    return FieldType(name, slot, Kind.STRING, 1)


def _tables(name: str, slot: int, table: str) -> FieldType:
    return FieldType(name, slot, Kind.TABLES, 4, table)


# The options of operators that are read, by their number in the union BuiltinOptions.
OPTIONS: dict[int, str] = {
    1: "Conv2DOptions",
    2: "DepthwiseConv2DOptions",
    5: "Pool2DOptions",
    8: "FullyConnectedOptions",
    9: "SoftmaxOptions",
    11: "AddOptions",
    92: "IfOptions",
    93: "WhileOptions",
    101: "BatchMatMulOptions",
    103: "CallOnceOptions",
    111: "VarHandleOptions",
}

TABLES: dict[str, tuple[FieldType, ...]] = {
    "Model": (
        _scalar("version", 0, 4),
        _tables("operator_codes", 1, "OperatorCode"),
        _tables("subgraphs", 2, "SubGraph"),
        _string("description", 3),
        _tables("buffers", 4, "Buffer"),
        _tables("metadata", 6, "Metadata"),
        _tables("signature_defs", 7, "SignatureDef"),
        _tables("external_buffer_groups", 8, "External"),
        _tables("external_buffers", 9, "External"),
    ),
    "OperatorCode": (
        _scalar("deprecated_builtin_code", 0, 1),
        _string("custom_code", 1),
        _scalar("version", 2, 4),
        _scalar("builtin_code", 3, 4),
    ),
    "SubGraph": (
        _tables("tensors", 0, "Tensor"),
        _scalars("inputs", 1, 4),
        _scalars("outputs", 2, 4),
        _tables("operators", 3, "Operator"),
    ),
    "Tensor": (
        _scalars("shape", 0, 4),
        _scalar("type", 1, 1),
        _scalar("buffer", 2, 4),
        _string("name", 3),
        FieldType("quantization", 4, Kind.TABLE, 4, "QuantizationParameters"),
        _scalar("is_variable", 5, 1),
        FieldType("sparsity", 6, Kind.TABLE, 4, "SparsityParameters"),
        _scalar("external_buffer", 10, 4),
    ),
    "QuantizationParameters": (
        FieldType("min", 0, Kind.SPAN, 4),
        FieldType("max", 1, Kind.SPAN, 4),
        _scalars("scale", 2, 4),
        _scalars("zero_point", 3, 8),
        _scalar("details_type", 4, 1),
        _scalar("quantized_dimension", 6, 4),
    ),
    "SparsityParameters": (),
    "Operator": (
        _scalar("opcode_index", 0, 4),
        _scalars("inputs", 1, 4),
        _scalars("outputs", 2, 4),
        _scalar("builtin_options_type", 3, 1),
        FieldType("builtin_options", 4, Kind.UNION, members=OPTIONS),
        _scalars("intermediates", 8, 4),
        _scalar("large_custom_options_offset", 9, 8),
    ),
    "AddOptions": (_scalar("fused_activation_function", 0, 1),),
    "Conv2DOptions": (
        _scalar("padding", 0, 1),
        _scalar("stride_w", 1, 4),
        _scalar("stride_h", 2, 4),
        _scalar("fused_activation_function", 3, 1),
        _scalar("dilation_w_factor", 4, 4),
        _scalar("dilation_h_factor", 5, 4),
    ),
    "DepthwiseConv2DOptions": (
        _scalar("padding", 0, 1),
        _scalar("stride_w", 1, 4),
        _scalar("stride_h", 2, 4),
        _scalar("depth_multiplier", 3, 4),
        _scalar("fused_activation_function", 4, 1),
        _scalar("dilation_w_factor", 5, 4),
        _scalar("dilation_h_factor", 6, 4),
    ),
    "FullyConnectedOptions": (
        _scalar("fused_activation_function", 0, 1),
        _scalar("weights_format", 1, 1),
    ),
    "SoftmaxOptions": (_scalar("beta", 0, 4),),
    "Pool2DOptions": (
        _scalar("padding", 0, 1),
        _scalar("stride_w", 1, 4),
        _scalar("stride_h", 2, 4),
        _scalar("filter_width", 3, 4),
        _scalar("filter_height", 4, 4),
        _scalar("fused_activation_function", 5, 1),
    ),
    "BatchMatMulOptions": (
        _scalar("adj_x", 0, 1),
        _scalar("adj_y", 1, 1),
    ),
    "CallOnceOptions": (_scalar("init_subgraph_index", 0, 4),),
    "IfOptions": (
        _scalar("then_subgraph_index", 0, 4),
        _scalar("else_subgraph_index", 1, 4),
    ),
    "WhileOptions": (
        _scalar("cond_subgraph_index", 0, 4),
        _scalar("body_subgraph_index", 1, 4),
    ),
    "VarHandleOptions": (
        _string("container", 0),
        _string("shared_name", 1),
    ),
    "Buffer": (
        FieldType("data", 0, Kind.SPAN, 1),
        _scalar("offset", 1, 8),
        _scalar("size", 2, 8),
    ),
    "Metadata": (
        _string("name", 0),
        _scalar("buffer", 1, 4),
    ),
    "SignatureDef": (),
    "External": (),
}


def slot_of(table: str, field: str) -> int:
    """The field's number. Both must be in `TABLES`."""
    return next(f.slot for f in TABLES[table] if f.name == field)
