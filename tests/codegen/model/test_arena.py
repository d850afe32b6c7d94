"""The estimated arena: never below what was measured, and not far above."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tflite

from modelkit import (
    CODES,
    ModelSpec,
    NodeSpec,
    TensorSpec,
    build,
    default_spec,
    with_operator,
    with_tensor,
)
from tinymldelta.arena import estimate_arena
from tinymldelta.errors import Refusal
from tinymldelta.model import read_model, read_model_file

# The smallest arena, in steps of 16 bytes, with which allocation and one inference succeeded: TFLM
# of August 2026, reference kernels, on an emulated Cortex-M3, built without TF_LITE_STATIC_MEMORY.
MEASURED = {
    "samples/host/models/digits/base.tflite": 2624,
    "samples/host/models/digits/refused_larger_arena.tflite": 6656,
    "samples/host/models/sst/base.tflite": 1488,
    "../shared/corpus/b_digits_int8_ft/base.tflite": 2800,
    "../shared/corpus/e_cancer_f32_ft/base.tflite": 1104,
    "../shared/corpus/e_digits_f32_sgd/base.tflite": 5280,
    "../shared/corpus/g_digits_int8_wider/target.tflite": 2832,
    "../shared/corpus/h_co2_lstm_int8_ft/base.tflite": 32832,
    "../shared/corpus/i_digits_i16x8_ft/base.tflite": 3888,
    "../shared/corpus/m_wine_int8_ft/base.tflite": 1328,
    "../shared/corpus/n_threshold_f32/base.tflite": 2496,
    "../shared/corpus/o_digits_f32_reexport/base.tflite": 7600,
    "../shared/corpus/o_digits_int8_renamed_ft/base.tflite": 3328,
}


def arena(spec: ModelSpec) -> int:
    return estimate_arena(read_model(build(spec), "m")).bytes


@pytest.mark.parametrize("file", MEASURED)
def test_at_least_what_was_measured_and_little_more(file: str, root: Path) -> None:
    path = root / file
    if not path.exists():
        pytest.skip(f"no {file} beside the checkout")
    need = estimate_arena(read_model_file(path))
    assert need.origin == "estimated"
    assert MEASURED[file] <= need.bytes <= MEASURED[file] * 1.25


def chain(*sizes: int) -> ModelSpec:
    """Operators in a row, with activations of these sizes in bytes."""
    return replace(
        default_spec(),
        tensors=tuple(TensorSpec(f"t{i}", (1, size)) for i, size in enumerate(sizes)),
        nodes=tuple(NodeSpec(3, (i,), (i + 1,)) for i in range(len(sizes) - 1)),
        outputs=(len(sizes) - 1,),
    )


def test_activations_that_are_not_alive_together_share_their_place() -> None:
    def grows(change: ModelSpec) -> int:
        return arena(change) - arena(chain(9600, 9600, 16, 16))

    assert grows(chain(9600, 9600, 16, 16)) == 0
    assert grows(chain(9600, 9600, 9600, 9600)) == 0
    assert grows(chain(9600, 9616, 9600, 9600)) == 16
    assert grows(replace(chain(9600, 9600, 9600, 9600), outputs=(3, 0))) >= 9600


def test_what_nothing_reads_or_writes_still_has_its_size() -> None:
    spec = chain(16, 16)
    tensors = (*spec.tensors, TensorSpec("idle", (100_000,)))
    assert arena(replace(spec, tensors=tensors)) > 100_000


def test_variables_are_kept_beside_the_activations() -> None:
    spec = chain(9600, 9600, 9600)
    variable = TensorSpec("state", (5000,), is_variable=True)
    grown = arena(replace(spec, tensors=(*spec.tensors, variable))) - arena(spec)
    assert 5000 <= grown < 5100


def test_4_bit_elements_take_a_byte_each_in_the_arena() -> None:
    four = with_tensor(chain(9600, 9600), 0, type=tflite.TensorType.INT4)
    assert arena(four) == arena(chain(9600, 9600))


def test_per_channel_arrays_grow_with_the_channels() -> None:
    def conv(channels: int) -> int:
        spec = default_spec()
        for index, changes in (
            (
                1,
                {
                    "shape": (channels, 3, 3, 1),
                    "scale": (0.5,) * channels,
                    "zero_point": (0,) * channels,
                    "data": bytes(9 * channels),
                },
            ),
            (
                2,
                {
                    "shape": (channels,),
                    "scale": (0.5,) * channels,
                    "zero_point": (0,) * channels,
                    "data": bytes(4 * channels),
                },
            ),
        ):
            spec = with_tensor(spec, index, **changes)
        return arena(spec)

    assert conv(1024) - conv(512) >= 8 * 512


def test_16_bit_softmax_has_tables() -> None:
    wide = with_tensor(with_tensor(default_spec(), 7, type=7), 8, type=7)
    assert arena(wide) - arena(default_spec()) >= 2 * 2 * 513


def test_an_offline_plan_is_followed() -> None:
    spec = chain(160, 160)

    def planned(*offsets: int) -> int:
        plan = struct.pack("<5i", 1, 0, 2, *offsets)
        return arena(replace(spec, metadata=(("OfflineMemoryAllocation", plan),)))

    assert planned(-1, -1) == arena(spec)
    assert planned(0, 50_000) >= 50_160
    assert planned(50_000, -1) >= 50_160


@pytest.mark.parametrize("node", [
    ((), ()), ((-1, -1), ()), ((0,), (2,)), ((0, 1), (2,)), ((1, 0), (1, 2)), ((3, 3), (3,)),
])  # fmt: skip
def test_any_operator_on_any_tensors_has_an_estimate(
    node: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    refused = set()
    for name in (*CODES, "mine"):
        spec = replace(
            with_operator(default_spec(), name),
            tensors=(
                TensorSpec("a", (2, 3)),
                TensorSpec("scalar", ()),
                TensorSpec("b", (6,)),
                TensorSpec("none", (0, 4)),
            ),
            nodes=(NodeSpec(4, *node),),
            outputs=(2,),
        )
        try:
            model = read_model(build(spec), "m")
        except Refusal:
            refused.add(name)
        else:
            assert estimate_arena(model).bytes > 0
    assert refused == {
        "CALL",
        "CALL_ONCE",
        "CUSTOM",
        "IF",
        "PLACEHOLDER_FOR_GREATER_OP_CODES",
        "WHILE",
    }


def test_a_custom_operator_costs_more_than_a_known_one() -> None:
    known, custom = (arena(with_operator(default_spec(), name)) for name in ("TANH", "mine"))
    assert custom > known


def test_many_tensors_take_no_quadratic_time() -> None:
    many = tuple(TensorSpec("", (1,)) for _ in range(8000))
    model = read_model(build(replace(chain(16, 16), tensors=(*chain(16, 16).tensors, *many))), "m")
    started = time.process_time()
    assert estimate_arena(model).bytes > 8000 * 16
    assert time.process_time() - started < 5
