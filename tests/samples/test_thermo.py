"""The thermo sample on a PC: its portable C against numpy, its models and series, its story."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymldelta.facts import Facts, facts_of, io_hash, opset_hash
from tinymldelta.model import read_model_file

THERMO = Path(__file__).resolve().parents[2] / "samples" / "thermo"
MODELS = THERMO / "models"
STRICT = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")

Array = np.ndarray[Any, Any]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"thermo_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


series = load(MODELS / "series.py")


# --- The portable C ----------------------------------------------------------------------------


class Welford(ctypes.Structure):
    _fields_ = [
        ("count", ctypes.c_uint32),
        ("mean", ctypes.c_double),
        ("squares", ctypes.c_double),
    ]


class Quantisation(ctypes.Structure):
    _fields_ = [("scale", ctypes.c_float), ("zero_point", ctypes.c_int32)]


class Window(ctypes.Structure):
    _fields_ = [("z", ctypes.c_float * series.WINDOW), ("count", ctypes.c_uint32)]


class Chip(ctypes.Structure):
    _fields_ = [
        ("celsius", ctypes.POINTER(ctypes.c_float)),
        ("count", ctypes.c_size_t),
        ("next", ctypes.c_size_t),
        ("pointer", ctypes.c_uint8),
        ("value", ctypes.c_uint8 * 3 * 0x21),
    ]


INPUT = Quantisation(1 / 255, -128)
OUTPUT = Quantisation(1 / 256, -128)
Int8s = ctypes.c_int8 * series.WINDOW


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("thermo") / "thermo.so"
    sources = [THERMO / "src" / f"{name}.c" for name in ("welford", "window", "mcp9600")]
    subprocess.run(["cc", *STRICT, "-shared", "-fPIC", *sources, "-o", library, "-lm"], check=True)
    functions = ctypes.CDLL(str(library))
    functions.welford_add.argtypes = [ctypes.POINTER(Welford), ctypes.c_double]
    functions.welford_deviation.argtypes = [ctypes.POINTER(Welford)]
    functions.welford_deviation.restype = ctypes.c_double
    functions.welford_z.argtypes = [ctypes.POINTER(Welford), ctypes.c_double, ctypes.c_double]
    functions.welford_z.restype = ctypes.c_float
    functions.window_add.argtypes = [ctypes.POINTER(Window), ctypes.c_float]
    functions.window_is_full.argtypes = [ctypes.POINTER(Window)]
    functions.window_is_full.restype = ctypes.c_bool
    functions.window_quantise.argtypes = [ctypes.POINTER(Window), Quantisation, Int8s]
    functions.window_error.argtypes = [Int8s, Quantisation, Int8s, Quantisation]
    functions.window_error.restype = ctypes.c_float
    for name in ("mcp9600_read", "mcp9600_write"):
        function = getattr(functions, name)
        function.argtypes = [ctypes.POINTER(Chip), ctypes.c_char_p, ctypes.c_size_t]
        function.restype = ctypes.c_bool
    functions.mcp9600_start.argtypes = [
        ctypes.POINTER(Chip), ctypes.POINTER(ctypes.c_float), ctypes.c_size_t,
    ]  # fmt: skip
    return functions


def learned(c: ctypes.CDLL, values: list[float]) -> Welford:
    welford = Welford()
    c.welford_start(ctypes.byref(welford))
    for value in values:
        c.welford_add(welford, value)
    return welford


TEMPERATURES = st.integers(-200 * 16, 1800 * 16).map(lambda steps: steps / 16)


@given(st.lists(TEMPERATURES, min_size=2, max_size=300))
def test_mean_and_deviation_are_those_of_numpy(c: ctypes.CDLL, values: list[float]) -> None:
    welford = learned(c, values)
    assert welford.count == len(values)
    assert welford.mean == pytest.approx(np.mean(values), rel=1e-12, abs=1e-9)
    assert c.welford_deviation(welford) == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-6)


def test_a_small_deviation_far_from_zero_is_not_lost(c: ctypes.CDLL) -> None:
    """Where the difference of two sums of squares would have no digit left."""
    values = [1e9 + step / 16 for step in range(100)]
    welford = learned(c, values)
    assert c.welford_deviation(welford) == pytest.approx(np.std(values, ddof=1), rel=1e-6)


def test_a_temperature_that_stands_still_has_the_resolution_as_deviation(c: ctypes.CDLL) -> None:
    welford = learned(c, [20.0] * 50)
    assert c.welford_z(welford, 20.25, 1 / 16) == 4.0
    assert c.welford_deviation(learned(c, [20.0])) == 0.0


def filled(c: ctypes.CDLL, zs: Array) -> Window:
    window = Window()
    c.window_start(ctypes.byref(window))
    for z in zs:
        c.window_add(window, float(z))
    return window


def test_the_window_is_what_the_models_were_trained_on(c: ctypes.CDLL) -> None:
    celsius, _ = series.read_csv(series.READINGS)
    welford = learned(c, list(celsius[: series.BASELINE]))
    zs = [c.welford_z(welford, value, series.STEP) for value in celsius]
    wanted = np.rint(series.windows(celsius) * 255) - 128
    for end in (series.WINDOW, 17, 31, 32, 100, 560, len(celsius)):
        window = filled(c, np.array(zs[:end]))
        got = Int8s()
        c.window_quantise(window, INPUT, got)
        assert list(got) == list(wanted[end - series.WINDOW]), end


def test_a_window_is_clipped_and_not_wrapped(c: ctypes.CDLL) -> None:
    window = filled(c, np.array([-1e9, 1e9] * (series.WINDOW // 2)))
    got = Int8s()
    c.window_quantise(window, INPUT, got)
    assert list(got) == [-128, 127] * (series.WINDOW // 2)


def test_a_window_is_full_with_its_last_reading(c: ctypes.CDLL) -> None:
    assert not c.window_is_full(filled(c, np.zeros(series.WINDOW - 1)))
    assert c.window_is_full(filled(c, np.zeros(series.WINDOW)))


def test_the_error_is_that_of_the_training(c: ctypes.CDLL) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        inputs, outputs = rng.integers(-128, 128, (2, series.WINDOW))
        wanted = series.scores((outputs + 128) / 256, ((inputs + 128) / 255)[np.newaxis])[0]
        got = c.window_error(Int8s(*inputs), INPUT, Int8s(*outputs), OUTPUT)
        assert got == pytest.approx(wanted, rel=1e-5)


def test_python_and_firmware_agree_in_their_numbers() -> None:
    kconfig = (THERMO / "Kconfig").read_text()
    header = (THERMO / "src" / "window.h").read_text()

    def default(name: str) -> int:
        found = re.search(rf"config {name}\n(?:\t.*\n)*?\tdefault (\d+)\n", kconfig)
        assert found is not None, name
        return int(found[1])

    def constant(name: str) -> float:
        found = re.search(rf"#define {name} ([\d.]+)", header)
        assert found is not None, name
        return float(found[1])

    assert default("APP_BASELINE_READINGS") == series.BASELINE
    assert default("APP_AUTOENCODER_LIMIT") == series.LIMIT * 100
    assert constant("WINDOW_READINGS") == series.WINDOW
    assert constant("WINDOW_CLIP") == series.CLIP


# --- The emulated sensor -------------------------------------------------------------------------


@pytest.fixture
def chip(c: ctypes.CDLL) -> Iterator[Chip]:
    chip, played = Chip(), (ctypes.c_float * 4)(200.0625, -0.0625, -270.0, 1800.0)
    c.mcp9600_start(chip, played, len(played))
    yield chip
    del played  # the chip reads it


def read(c: ctypes.CDLL, chip: Chip, register: int, size: int) -> bytes | None:
    data = ctypes.create_string_buffer(size)
    if not c.mcp9600_write(chip, bytes([register]), 1) or not c.mcp9600_read(chip, data, size):
        return None
    return data.raw


def test_the_hot_junction_is_signed_sixteenths_and_the_series_goes_round(
    c: ctypes.CDLL, chip: Chip
) -> None:
    raw = [read(c, chip, 0x00, 2) for _ in range(5)]
    values = [int.from_bytes(each or b"", "big", signed=True) / 16 for each in raw]
    assert values == [200.0625, -0.0625, -270.0, 1800.0, 200.0625]


def test_the_other_registers_are_there(c: ctypes.CDLL, chip: Chip) -> None:
    assert read(c, chip, 0x04, 1) == b"\x00"
    assert read(c, chip, 0x00, 2) == b"\x0c\x81"
    assert read(c, chip, 0x04, 1) == b"\x40"  # a temperature is there
    assert read(c, chip, 0x01, 2) == b"\x0a\xf1"  # 175.0625: the cold junction has 25
    assert read(c, chip, 0x02, 2) == b"\x01\x90"
    assert read(c, chip, 0x20, 2) == b"\x40\x10"
    # What the driver of Zephyr 3.4 takes for the id is the last alert's limit.
    assert read(c, chip, 0x13, 2) == b"\x00\x00"


def test_configuration_is_kept_and_nothing_else_is_taken(c: ctypes.CDLL, chip: Chip) -> None:
    assert c.mcp9600_write(chip, b"\x05\x73", 2)
    assert read(c, chip, 0x05, 1) == b"\x73"
    assert c.mcp9600_write(chip, b"\x10\x12\x34", 3)
    assert read(c, chip, 0x10, 2) == b"\x12\x34"
    assert not c.mcp9600_write(chip, b"\x05\x73\x00", 3)  # wider than the register
    assert not c.mcp9600_write(chip, b"\x00\x01\x02", 3)  # read only
    assert not c.mcp9600_write(chip, b"\x20\x41", 2)
    for nothing in (0x07, 0x14, 0x1F, 0x21, 0xFF):
        assert read(c, chip, nothing, 1) is None, hex(nothing)
    assert read(c, chip, 0x04, 2) is None  # more than the register has


# --- Series and models ---------------------------------------------------------------------------


def test_the_readings_are_those_of_the_script(tmp_path: Path) -> None:
    series.write_csv(tmp_path / "readings.csv", *series.recorded())
    assert (tmp_path / "readings.csv").read_text() == series.READINGS.read_text()


def test_no_reading_of_the_fault_is_out_of_the_ordinary_by_itself() -> None:
    celsius, fault = series.read_csv(series.READINGS)
    assert fault.sum() == 40
    normal = celsius[~fault]
    assert normal.min() <= celsius[fault].min() and celsius[fault].max() <= normal.max()
    mean, deviation = series.baseline(celsius)
    assert np.abs((celsius - mean) / deviation).max() < 4.0  # CONFIG_APP_ZSCORE_LIMIT


@pytest.mark.parametrize(
    "text, what",
    [
        ("", "no column named celsius"),
        ("time\n1\n", "no column named celsius"),
        ("celsius\nwarm\n", "a reading is no number"),
    ],
)
def test_a_file_that_holds_no_readings_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=what):
        series.read_csv(path)


def facts(name: str, folder: Path = MODELS) -> Facts:
    return facts_of(read_model_file(folder / f"{name}.tflite"))


def test_base_and_target_are_one_firmware_s() -> None:
    base, target = facts("base"), facts("target")
    assert (opset_hash(base), io_hash(base)) == (opset_hash(target), io_hash(target))
    assert base.sha256 != target.sha256
    for name in ("base", "target"):
        assert 3000 <= (MODELS / f"{name}.tflite").stat().st_size <= 8000
    assert base.arena.bytes <= 4096  # ARENA in CMakeLists.txt
    (tensor_in,), (tensor_out,) = base.inputs, base.outputs
    for tensor, scale in ((tensor_in, 1 / 255), (tensor_out, 1 / 256)):
        assert tensor.shape == (1, series.WINDOW)
        assert tensor.scale[0] == pytest.approx(scale) and tensor.zero_point[0] == -128


def int8_scores(model: Path, celsius: Array) -> Array:
    runtime = pytest.importorskip("tflite_micro", reason="needs tflite-micro").runtime
    interpreter = runtime.Interpreter.from_bytes(model.read_bytes(), arena_size=64 * 1024)
    inputs = np.rint(series.windows(celsius) * 255) - 128
    restored = []
    for window in inputs.astype(np.int8):
        interpreter.set_input(window[np.newaxis], 0)
        interpreter.invoke()
        restored.append(interpreter.get_output(0)[0].copy())
    return series.scores((np.stack(restored) + 128.0) / 256, (inputs + 128) / 255)


def check_separation(base: Path, target: Path) -> None:
    celsius, fault = series.read_csv(series.READINGS)
    bad = np.lib.stride_tricks.sliding_window_view(fault, series.WINDOW).sum(axis=1)
    by_base, by_target = int8_scores(base, celsius), int8_scores(target, celsius)
    assert np.mean(by_base[bad == 0] > series.LIMIT) > 0.9
    assert by_target[bad == 0].max() < 0.8 * series.LIMIT
    for scores in (by_base, by_target):
        assert scores[bad >= 8].min() > 1.4 * series.LIMIT
    # What the base was made for, it restores.
    bench = int8_scores(base, series.bench_readings(600, seed=11))
    assert np.percentile(bench, 99) < 0.6 * series.LIMIT
    # The target has learned the process and not these 600 readings.
    other = int8_scores(target, series.production_readings(600, seed=12))
    assert np.percentile(other, 99) < series.LIMIT


def test_base_flags_the_new_process_target_does_not_and_both_flag_the_fault() -> None:
    check_separation(MODELS / "base.tflite", MODELS / "target.tflite")


@pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("tensorflow", "sklearn", "statsmodels", "tflite_micro")
    ),
    reason="needs TensorFlow: pip install -r requirements/train.txt",
)
def test_the_recipe_makes_such_models(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, MODELS / "thermo_models.py", "--out", tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for name in ("base", "target"):
        made, kept = facts(name, tmp_path), facts(name)
        assert (opset_hash(made), io_hash(made), made.arena) == (
            opset_hash(kept), io_hash(kept), kept.arena,
        ), name  # fmt: skip
    check_separation(tmp_path / "base.tflite", tmp_path / "target.tflite")


# --- With Zephyr ---------------------------------------------------------------------------------


@pytest.mark.skipif(
    "ZEPHYR_BASE" not in os.environ or shutil.which("west") is None,
    reason="needs a Zephyr workspace: set ZEPHYR_BASE, and have west in PATH",
)
def test_the_whole_story_on_native_sim(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, THERMO / "run_thermo.py", "--keep", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
