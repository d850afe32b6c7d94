"""`tmd slim` and `tmd patch --slim`: what they say, what they exit with, what they write."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accuracykit import npz
from clikit import asked, done, refused, tmd
from tinymldelta.accuracy import AccuracyRecord, Metric, MetricKind, choose_metric, read_samples
from tinymldelta.cli import gate as cli_gate
from tinymldelta.container.metadata import kept_bytes
from tinymldelta.container.patch import Metadata
from tinymldelta.container.reader import read_patch
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import TFLM, find_interpreter
from tinymldelta.limits import META_KEPT_MIN
from tinymldelta.model import read_model
from tinymldelta.slim.plot import draw
from tinymldelta.slim.search import Outcome, Point, SlimResult

Array = np.ndarray[Any, Any]

# What `Data.call` is given, of the mean absolute error of the sea-surface temperatures, in percent:
# base is worse than target by 6.7, up to 10.2.
_SLIMS, _NEEDS_NOTHING, _CANNOT = 4, 20, 1


@pytest.fixture(scope="module", autouse=True)
def interpreter() -> None:
    if find_interpreter(TFLM) is None:
        if os.environ.get("CI"):
            pytest.fail("no interpreter can be imported: pip install -r requirements/demo.txt")
        pytest.skip("no interpreter can be imported: pip install -r requirements/demo.txt")


# In CI, where nothing is to be skipped, it has to be there.
PLOTS = bool(os.environ.get("CI")) or importlib.util.find_spec("matplotlib") is not None
needs_plots = pytest.mark.skipif(not PLOTS, reason="matplotlib cannot be imported")


def plot_to(path: Path) -> tuple[object, ...]:
    """--plot for a test that is about more than plots."""
    return ("--plot", path) if PLOTS else ()


class Data:
    """Files to call the commands with. Of each pair, what fits and what is judged lie apart."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder, self._models = folder, models
        arrays = np.load(models / "sst" / "eval.npz")
        self.windows = (arrays["inputs"].astype(np.float32) + 128) / 255
        self.c = self.file("c.npz", x=self.windows[::2])
        self.v = self.file("v.npz", x=self.windows[1::2], y=self.windows[1::2])
        arrays = np.load(models / "digits" / "eval.npz")
        images, labels = arrays["inputs"], arrays["labels"]
        self.images = self.file("images.npz", x=_noisy(images[::2], 1, 1))
        self.labelled = self.file(
            "labelled.npz", x=_noisy(images[1::2], 4, 2), y=np.tile(labels[1::2], 4)
        )

    def file(self, name: str, **arrays: Array) -> Path:
        path = self.folder / name
        path.write_bytes(npz(**arrays))
        return path

    def model(self, name: str) -> Path:
        return self._models / f"{name}.tflite"

    def call(
        self, max_drop: object, *more: object, command: str = "slim", **paths: Path
    ) -> tuple[object, ...]:
        """Arguments; paths: base, target, c, v, if other than those of the autoencoder."""
        base, target = (paths.get(n, self.model(f"sst/{n}")) for n in ("base", "target"))
        slim = () if command == "slim" else ("--slim",)
        return (
            command, base, target, *slim, "--calibration", paths.get("c", self.c),
            "--validation", paths.get("v", self.v), "--max-drop", max_drop, *more,
        )  # fmt: skip

    def digits(self, max_drop: object, *more: object, **paths: Path) -> tuple[object, ...]:
        models = {n: self.model(f"digits/{n}") for n in ("base", "target")}
        own = {**models, "c": self.images, "v": self.labelled, **paths}
        return self.call(max_drop, "--no-distil", *more, **own)


def _noisy(images: Array, times: int, seed: int) -> Array:
    """Each image some times, no two alike."""
    random = np.random.RandomState(seed)
    shape = (times * len(images), *images.shape[1:])
    noise = random.randint(-12, 13, shape)
    return np.clip(np.tile(images, (times, 1, 1, 1)) + noise, -128, 127).astype(np.int8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    root = Path(__file__).resolve().parents[3]
    return Data(tmp_path_factory.mktemp("slim"), root / "samples" / "host" / "models")


# ---- tmd slim ----


def test_a_slimmed_model_is_written_and_said(data: Data, tmp_path: Path) -> None:
    out, plot = tmp_path / "s.tflite", tmp_path / "s.svg"
    words = done(*data.digits(3, "-o", out, *plot_to(plot)))
    again = tmp_path / "again.tflite", tmp_path / "again.svg"
    found = asked(*data.digits(3, "-o", again[0], *plot_to(again[1]), "--seed", 0))
    # Same seed, same bytes; and of the base's length, since only numbers in it are others.
    assert out.read_bytes() == again[0].read_bytes()
    assert len(out.read_bytes()) == data.model("digits/base").stat().st_size
    assert {*tmp_path.iterdir()} == {out, again[0], *((plot, again[1]) if PLOTS else ())}
    if PLOTS:
        assert plot.read_bytes() == again[1].read_bytes()

    assert found["outcome"] == "slimmed" and found["metric"] == "accuracy"
    assert found["max_drop"] == 3 and found["seed"] == 0 and found["distilled"] is False
    assert found["out"] == str(again[0])
    assert found["plot"] == (str(again[1]) if PLOTS else None)
    chosen = found["candidates"][found["chosen"]]
    assert chosen["within"] and chosen["at_most"] <= 3
    assert found["body_bytes"] == chosen["body_bytes"] < 0.85 * found["ordinary_body_bytes"]
    assert found["against_target"]["at_most"] <= 3
    drop = 100 * (found["target"] - found["slimmed"])
    assert found["against_target"]["worse_by"] == pytest.approx(drop)
    gain = 100 * (found["base"] - found["slimmed"])
    assert found["against_base"]["worse_by"] == pytest.approx(gain)
    assert found["validation"] == {
        "data": str(data.labelled),
        "data_sha256": _read(data, data.labelled).sha256.hex(),
        "samples": 400,
    }
    assert found["calibration"]["samples"] == 100
    # The figures are those that the gate finds with the files.
    gated = asked(
        "patch", data.model("digits/target"), out, "-o", tmp_path / "p.tmd",
        "--verify-data", data.labelled, "--max-drop", 3, "--confident",
    )["accuracy"]  # fmt: skip
    assert (gated["base"], gated["target"]) == (found["target"], found["slimmed"])
    assert gated["at_most"] == found["against_target"]["at_most"]
    assert gated["changed"] == found["against_target"]["changed"]

    for text in (
        "target", "base", "chosen", "within", "beyond", f"wrote {out}" + f" and {plot}" * PLOTS,
        f"slimmed: accuracy {found['slimmed']:.2%}".replace("%", " %"),
        f"{found['against_target']['changed']} of 400 answers are not the target's",
        f"its patch takes {found['body_bytes']:,} bytes without header and metadata",
        "3 is allowed, in percentage points", "accuracy: because 'y' is uint8",
        # What is at most 2.9 and beyond a budget of 3 needs saying.
        "within: worse by, and 1.41 times the way from there to at most, do not exceed the budget",
    ):  # fmt: skip
        assert text in words
    assert len([line for line in words.splitlines() if " within " in line]) == sum(
        candidate["within"] for candidate in found["candidates"]
    )


def test_another_seed_and_no_distillation_make_other_models(data: Data, tmp_path: Path) -> None:
    written = []
    for n, more in enumerate(((), ("--seed", 1), ("--no-distil",))):
        out = tmp_path / f"{n}.tflite"
        found = asked(*data.call(_SLIMS, "-o", out, *more))
        assert found["seed"] == (1 if n == 1 else 0) and found["distilled"] is (n != 2)
        written.append(out.read_bytes())
    assert len(set(written)) == 3


def test_a_base_within_the_budget_needs_no_update(data: Data, tmp_path: Path) -> None:
    call = data.call(_NEEDS_NOTHING, "-o", tmp_path / "s", *plot_to(tmp_path / "p"))
    words = done(*call)
    assert "no update needed: it is worse than the target by 6.76" in words
    assert "worse by 20 is allowed" in words and words.endswith("nothing was written\n")
    found = asked(*call)
    assert found["outcome"] == "no_update" and "6.76" in found["reason"]
    assert found["slimmed"] is found["body_bytes"] is found["chosen"] is found["out"] is None
    assert found["plot"] is found["against_base"] is found["run_by"] is None
    assert found["candidates"] == [] and 0.024 < found["target"] < found["base"] < 0.026
    assert list(tmp_path.iterdir()) == []
    same = done(*data.call(0, "-o", tmp_path / "s", target=data.model("sst/base")))
    assert "no update needed: base and target are the same" in same
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_slimmed_is_refused_with_the_candidates(data: Data, tmp_path: Path) -> None:
    call = data.call(_CANNOT, "-o", tmp_path / "s", *plot_to(tmp_path / "p"))
    result = tmd(*call)
    assert result.exit_code == 1
    assert result.stdout.count(" beyond ") >= 2 and "wrote" not in result.stdout
    (line,) = result.stderr.splitlines()
    assert "it cannot be slimmed: no candidate that saves anything is within the budget" in line
    assert line.endswith("(send the ordinary patch, or raise --max-drop)")
    result = tmd(*call, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1 and result.stderr.splitlines() == [line]
    assert found["refused"]["where"] == str(data.model("sst/target"))
    assert found["outcome"] == "not_slimmed" and len(found["candidates"]) >= 2
    assert found["out"] is found["plot"] is found["slimmed"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", ["new_operator", "larger_arena"])
def test_another_structure_cannot_be_slimmed(other: str, data: Data, tmp_path: Path) -> None:
    call = data.digits(3, "-o", tmp_path / "s", base=data.model(f"digits/refused_{other}"))
    said = refused(*call)
    assert "it cannot be slimmed" in said and "another structure" in said
    assert said.endswith("(send the ordinary patch)\n")
    found = json.loads(tmd(*call, "--json").stdout)
    assert found["base"] < found["target"] and found["candidates"] == []
    assert list(tmp_path.iterdir()) == []


def _wrong(data: Data) -> dict[str, tuple[dict[str, Path], str]]:
    """Wrong data by name: what is given in place of which file, and what is said of it."""
    x, y = data.windows[1::2], data.windows[1::2]
    nan = x.copy()
    nan[3, 4] = np.nan
    many = np.concatenate([data.windows[::2], x[:3]])
    no_model = data.file("no.tflite", x=x)
    broken = data.folder / "broken.npz"
    broken.write_bytes(b"PK, but nothing else")
    return {
        "calibration is missing": ({"c": data.folder / "none.npz"}, "none.npz: cannot be read"),
        "calibration is no npz": ({"c": broken}, "broken.npz: not an .npz file"),
        "validation is no npz": ({"v": broken}, "broken.npz: not an .npz file"),
        "calibration has no x": (
            {"c": data.file("e1.npz", z=x)}, "e1.npz: it has no array 'x'"),
        "calibration is empty": ({"c": data.file("e2.npz", x=x[:0])}, "have no samples"),
        "calibration has NaN": ({"c": data.file("e3.npz", x=nan)}, "e3.npz: 'x' has values"),
        "validation has NaN": ({"v": data.file("e4.npz", x=nan, y=y)}, "e4.npz: 'x' has values"),
        "labels have NaN": ({"v": data.file("e5.npz", x=x, y=nan)}, "e5.npz: 'y' has values"),
        "no labels": ({"v": data.file("e6.npz", x=x)}, "e6.npz: it has no array 'y'"),
        "too few labels": ({"v": data.file("e7.npz", x=x, y=y[:9])}, "'x' has 68 samples, 'y'"),
        "other labels": ({"v": data.file("e8.npz", x=x, y=y[:, :5])}, "'y' has the shape [68, 5]"),
        "calibration's shape": ({"c": data.file("e9.npz", x=x[:, :5])}, "of the shape [68, 5]"),
        "validation's shape": ({"v": data.file("e10.npz", x=x[:, :5], y=y)}, "the shape [68, 5]"),
        "calibration's type": ({"c": data.file("e11.npz", x=x.astype("i4"))}, "are int32"),
        "validation's type": ({"v": data.file("e12.npz", x=x.astype("i4"), y=y)}, "are int32"),
        "overlap": ({"c": data.file("e13.npz", x=many)}, "3 of its samples are in"),
        "overlap in another type": (
            {"c": data.file("e15.npz", x=np.rint(x[:3] * 255 - 128).astype("i1"))},
            "3 of its samples are in"),
        "one sample": ({"v": data.file("e14.npz", x=x[:1], y=y[:1])}, "1 samples are too few"),
        "base is no model": ({"base": no_model}, "no.tflite: not a TFLite model"),
        "target is no model": ({"target": no_model}, "no.tflite: not a TFLite model"),
        "target is missing": ({"target": data.folder / "none"}, "none: cannot be read"),
        "another task": (
            {"base": data.model("digits/base")}, "its tensors in or out have the shapes"),
    }  # fmt: skip


_WRONG = (
    "calibration is missing", "calibration is no npz", "validation is no npz",
    "calibration has no x", "calibration is empty", "calibration has NaN", "validation has NaN",
    "labels have NaN", "no labels", "too few labels", "other labels", "calibration's shape",
    "validation's shape", "calibration's type", "validation's type", "overlap",
    "overlap in another type", "one sample", "base is no model", "target is no model",
    "target is missing", "another task",
)  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_data_are_refused(name: str, data: Data, tmp_path: Path) -> None:
    wrong = _wrong(data)
    assert set(wrong) == set(_WRONG)
    paths, what = wrong[name]
    for command, out in (("slim", "s.tflite"), ("patch", "p.tmd")):
        more = ("-o", tmp_path / out)
        assert what in refused(*data.call(_SLIMS, *more, command=command, **paths))
        document = json.loads(
            tmd(*data.call(_SLIMS, *more, "--json", command=command, **paths)).stdout
        )
        assert set(document) == {"refused"}
    assert list(tmp_path.iterdir()) == []


def test_too_few_samples_for_the_budget_are_refused(data: Data, tmp_path: Path) -> None:
    said = refused(*data.digits(0.5, "-o", tmp_path / "s"))
    assert "400 samples are too few for a budget of 0.5" in said and "give more samples" in said
    assert list(tmp_path.iterdir()) == []


def test_without_an_interpreter_it_is_refused(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_gate, "find_interpreter", lambda first: None)
    said = refused(*data.call(_SLIMS, "-o", tmp_path / "s"))
    assert "no interpreter can be imported" in said and "pip install tflite-micro" in said


def test_without_matplotlib_it_is_refused_at_once(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    call = data.call(_SLIMS, "-o", tmp_path / "s", c=data.folder / "is-not-read.npz")
    said = refused(*call, "--plot", tmp_path / "p.svg")
    assert "p.svg: matplotlib cannot be imported" in said
    assert "pip install 'tinymldelta[plot]'" in said
    assert list(tmp_path.iterdir()) == []


def test_the_metric_may_be_a_function(data: Data, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "import numpy\n\ndef near(outputs, labels):\n"
        "    return -float(numpy.abs(outputs.reshape(labels.shape) - labels).mean())\n"
    )
    words = done(
        *data.call(0.001, "-o", tmp_path / "s", *plot_to(tmp_path / "p"), "--no-distil"),
        "--metric", f"{file}:near",
    )  # fmt: skip
    assert "slimmed: own metric -0.024" in words and "in the metric's own unit" in words
    assert "0.001 is allowed" in words
    assert not PLOTS or ">own metric<" in (tmp_path / "p").read_text()
    no = refused(*data.call(1, "-o", tmp_path / "no", "--metric", f"{file}:far"))
    assert "it has no function 'far'" in no
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-drop", "-1"),
        ("--max-drop", "nan"),
        ("--max-drop", "inf"),
        ("--max-drop", "half"),
        ("--seed", "-1"),
        ("--no-such", "1"),
    ],
)
def test_wrong_calls_exit_2(arguments: tuple[str, ...], data: Data, tmp_path: Path) -> None:
    assert tmd(*data.call(_SLIMS, "-o", tmp_path / "s"), *arguments).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["--calibration", "--validation", "--max-drop", "-o"])
def test_what_is_needed_has_to_be_given(missing: str, data: Data, tmp_path: Path) -> None:
    call = list(data.call(_SLIMS, "-o", tmp_path / "s"))
    at = call.index(missing)
    result = tmd(*call[:at], *call[at + 2 :])
    assert result.exit_code == 2 and missing in result.stderr


# ---- the plot ----


def _read(data: Data, path: Path) -> Any:
    return read_samples(path.read_bytes(), str(path), _digits_target(data))


def _digits_target(data: Data) -> Any:
    return read_model(data.model("digits/target").read_bytes(), "target")


def _result(base: float, **changes: Any) -> SlimResult:
    points = tuple(
        Point(1e-7, size, value, 100 * (0.9 - value), bound, 3, 10, bound is not None and bound < 1)
        for size, value, bound in ((700, 0.9, 0.4), (500, 0.897, 0.8), (300, 0.88, None))
    )
    return SlimResult(Outcome.SLIMMED, "", b"", points, 1, 1200, 0.9, base, **changes)


def _accuracy(data: Data) -> Metric:
    model = _digits_target(data)
    return choose_metric("accuracy", _read(data, data.labelled), model, model)[0]


@needs_plots
@pytest.mark.parametrize(("base", "beyond"), [(0.5, True), (0.88, False), (0.99, True)])
def test_the_plot_says_what_was_found(base: float, beyond: bool, data: Data) -> None:
    metric = _accuracy(data)
    picture = draw(_result(base), metric, 1.0, "p.svg")
    assert picture == draw(_result(base), metric, 1.0, "q.svg")
    text = picture.decode()
    for label in (
        "chosen", "within the budget", "beyond the budget", "budget of 1", "target, 90.00 %",
        "accuracy (%)", "patch without header and metadata, bytes",
    ):  # fmt: skip
        assert f">{label}<" in text
    assert f">base, {100 * base:.2f} %{', beyond the edge' if beyond else ''}<" in text
    assert "<dc:date>" not in text and "/tmp" not in text


@needs_plots
def test_bars_end_where_the_bound_is(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn: list[tuple[Any, ...]] = []
    real = Axes.vlines

    def vlines(self: Any, x: Any, ymin: Any, ymax: Any, **more: Any) -> Any:
        drawn.extend(zip(x, ymin, ymax, strict=True))
        return real(self, x, ymin, ymax, **more)

    monkeypatch.setattr(Axes, "vlines", vlines)
    draw(_result(0.88), _accuracy(data), 1.0, "p.svg")
    assert sorted(drawn) == [
        (300, pytest.approx(88), pytest.approx(88)),  # without a bound
        (500, pytest.approx(89.7), pytest.approx(89.2)),
        (700, pytest.approx(90), pytest.approx(89.6)),
    ]
    drawn.clear()
    draw(_result(0.95), _Error(), 1.0, "p.svg")  # of an error, more is worse
    assert drawn[1:] == [(700, 0.9, pytest.approx(0.9036)), (500, 0.897, pytest.approx(0.9072))]


class _Error:
    kind = MetricKind.MAE
    unit = "percent"


# ---- tmd patch --slim ----


@pytest.fixture(scope="module")
def contract(data: Data) -> Path:
    out = data.folder / "generated"
    done(
        "codegen", f"sst={data.model('sst/base')}", "--out", out,
        "--slot", 16384, "--erase", 8192, "--write", 16,
    )  # fmt: skip
    return out / "contract.json"


def _metadata(path: Path) -> Metadata:
    return read_patch(path.read_bytes(), None).metadata


def test_a_slimmed_patch_end_to_end(data: Data, contract: Path, tmp_path: Path) -> None:
    out, model, applied = tmp_path / "p.tmd", tmp_path / "s.tflite", tmp_path / "a.tflite"
    words = done(
        *data.call(_SLIMS, "-o", out, "--slimmed", model, "--contract", contract, command="patch")
    )
    assert f"wrote {out}" in words and "chosen" in words and "slimmed: mean absolute" in words
    done("apply", data.model("sst/base"), out, "-o", applied, "--contract", contract)
    assert applied.read_bytes() == model.read_bytes() != data.model("sst/target").read_bytes()
    # `tmd slim` makes the same, and has the figures.
    slimmed = tmp_path / "slim.tflite"
    found = asked(*data.call(_SLIMS, "-o", slimmed))
    assert slimmed.read_bytes() == model.read_bytes()

    record = AccuracyRecord.decode(_metadata(out).accuracy or b"")
    assert record.kind is MetricKind.MAE and record.samples == 68
    assert record.base == pytest.approx(found["base"], rel=1e-6)
    assert record.target == pytest.approx(found["slimmed"], rel=1e-6)
    assert record.data.hex() == found["validation"]["data_sha256"][:8]
    digest = hashlib.sha256(data.model("sst/target").read_bytes()).hexdigest()[:8]
    drop = found["against_target"]["worse_by"]
    note = f"slimmed: {drop:.3g} of at most 4 %, target {digest}"
    assert _metadata(out).note == note.encode() and len(note) <= 96
    inspected = done("inspect", out)
    assert f"target {digest}" in inspected and "slimmed: " in inspected
    assert "mean absolute error 0.0257" in inspected
    inspected_json = asked("inspect", out)
    assert inspected_json["metadata"]["note"] == note
    assert inspected_json["sizes"]["body"] == found["body_bytes"]
    assert tmd("check", out, "--contract", contract).exit_code == 0
    # What is not the target's patch is not bigger than that.
    ordinary = tmp_path / "o.tmd"
    done("patch", data.model("sst/base"), data.model("sst/target"), "-o", ordinary)
    assert asked("inspect", ordinary)["sizes"]["body"] == found["ordinary_body_bytes"]

    # The slimmed model is the base of the next patch.
    done("patch", model, data.model("sst/target"), "-o", tmp_path / "next.tmd")


def test_a_slimmed_patch_in_json(data: Data, tmp_path: Path) -> None:
    out, model, image = tmp_path / "p.tmd", tmp_path / "s.tflite", tmp_path / "s.img"
    call = data.call(_SLIMS, "-o", out, "--note", "mine", "--image", image, command="patch")
    found = asked(*call)
    slim = found["slim"]
    assert found["patch"] == str(out) and found["patch_bytes"] == out.stat().st_size
    assert slim["outcome"] == "slimmed" and slim["out"] is None
    assert found["accuracy"]["target"] == slim["slimmed"]
    assert found["accuracy"]["base"] == slim["base"] and found["accuracy"]["max_drop"] is None
    assert found["metadata"]["note"] == "mine"
    assert found["metadata"]["accuracy"] == (_metadata(out).accuracy or b"").hex()
    assert not model.exists() and image.stat().st_size == data.model("sst/base").stat().st_size
    plain = asked(
        "patch", data.model("sst/base"), data.model("sst/target"), "-o", tmp_path / "o.tmd"
    )
    assert plain["slim"] is plain["accuracy"] is None
    # A note of nothing leaves it out; and it is no other patch.
    none = asked(*data.call(_SLIMS, "-o", out, "--note", "", "--slimmed", model, command="patch"))
    assert none["metadata"]["note"] is None and none["slim"]["out"] == str(model)
    assert model.read_bytes() == image.read_bytes()
    assert none["slim"]["candidates"] == slim["candidates"]


def test_a_note_without_room_is_left_out(data: Data, contract: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.tmd"
    call = data.call(_SLIMS, "-o", out, command="patch")
    done(*call, "--note", "")
    document = json.loads(contract.read_text())
    document["meta_kept"] = max(kept_bytes(_metadata(out)) + 8, META_KEPT_MIN)
    small = tmp_path / "contract.json"
    small.write_text(json.dumps(document))
    result = tmd(*call, "--contract", small)
    assert result.exit_code == 0, result.output
    assert "there is no room for it in the firmware" in result.stderr
    assert _metadata(out).note is None and _metadata(out).accuracy is not None
    # What the user says is not left out.
    assert "metadata take" in refused(*call, "--contract", small, "--note", "n" * 90)


def test_no_patch_where_no_update_is_needed(data: Data, tmp_path: Path) -> None:
    call = data.call(
        _NEEDS_NOTHING, "-o", tmp_path / "p", "--slimmed", tmp_path / "s", command="patch"
    )
    words = done(*call)
    assert "no update needed" in words and words.endswith("no patch was made\n")
    found = asked(*call)
    assert found["patch"] is None and found["slim"]["outcome"] == "no_update"
    assert list(tmp_path.iterdir()) == []


def test_the_ordinary_patch_where_nothing_can_be_slimmed(data: Data, tmp_path: Path) -> None:
    out, slimmed, ordinary = (tmp_path / name for name in ("p.tmd", "s.tflite", "o.tmd"))
    models = data.model("sst/base"), data.model("sst/target")
    done("patch", *models, "-o", ordinary)
    call = data.call(_CANNOT, "-o", out, "--slimmed", slimmed, command="patch")
    result = tmd(*call)
    assert result.exit_code == 0
    assert "it cannot be slimmed: no candidate" in result.stderr
    assert "the patch is the ordinary one" in result.stderr
    assert f"{slimmed} is not written: the base of the next patch is TARGET" in result.stderr
    assert out.read_bytes() == ordinary.read_bytes() and not slimmed.exists()
    document = json.loads(tmd(*call, "--json").stdout)
    assert document["slim"]["outcome"] == "not_slimmed" and document["accuracy"] is None
    # Anything else is left as it is.
    other = data.model("digits/refused_new_operator")
    call = data.digits(3, "-o", out, base=other)
    call = ("patch", *call[1:3], "--slim", *(a for a in call[3:] if a != "--no-distil"))
    result = tmd(*call)
    assert result.exit_code == 0 and "another structure" in result.stderr
    done("patch", other, data.model("digits/target"), "-o", ordinary)
    assert out.read_bytes() == ordinary.read_bytes()


def test_vectors_are_tried_on_the_slimmed_model(data: Data, tmp_path: Path) -> None:
    """Those of the target are refused: a slimmed model answers otherwise."""
    vectors = tmp_path / "vectors.npz"
    given = np.load(data.model("sst/target").parent / "eval.npz")["inputs"][:2]
    found = find_interpreter(TFLM)
    assert found is not None
    loaded = found.load(data.model("sst/target").read_bytes())
    outputs = [np.frombuffer(loaded.run(row.tobytes()), np.int8) for row in given]
    vectors.write_bytes(npz(input=given, output=np.stack(outputs)))
    call = data.call(_SLIMS, "-o", tmp_path / "p", "--test-vectors", vectors, command="patch")
    assert "test vector 0" in refused(*call)
    assert not (tmp_path / "p").exists()
    assert "2 test vectors, run by" in done(*call, "--tolerance", 40)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (("--verify-data", "v.npz"), "leave out --verify-data"),
        (("--confident",), "with --slim the bound always counts"),
        (("--vectors-from-data", "2"), "are of --verify-data"),
        (("--format", "1"), "--slim makes patches of format 2"),
        (("--max-drop", "-1"), "-1 is no number from 0 up"),
    ],
)
def test_what_does_not_go_with_slim(
    more: tuple[str, ...], what: str, data: Data, tmp_path: Path
) -> None:
    result = tmd(*data.call(_SLIMS, "-o", tmp_path / "p", *more, command="patch"))
    assert result.exit_code == 2 and what in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--calibration", "--validation", "--slimmed"])
def test_what_goes_only_with_slim(option: str, data: Data, tmp_path: Path) -> None:
    models = data.model("sst/base"), data.model("sst/target")
    result = tmd("patch", *models, "-o", tmp_path / "p", option, data.c)
    assert result.exit_code == 2 and "--slim, which is missing" in result.stderr
    if option != "--slimmed":
        call = list(data.call(_SLIMS, "-o", tmp_path / "p", command="patch"))
        at = call.index(option)
        result = tmd(*call[:at], *call[at + 2 :])
        assert result.exit_code == 2 and "--slim needs --calibration" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_firmware_of_format_1_gets_nothing_slimmed(
    data: Data, contract: Path, tmp_path: Path
) -> None:
    document = json.loads(contract.read_text())
    document["formats"] = [1]
    old = tmp_path / "contract.json"
    old.write_text(json.dumps(document))
    result = tmd(*data.call(_SLIMS, "-o", tmp_path / "p", "--contract", old, command="patch"))
    assert result.exit_code == 1 and "--slim makes those of format 2" in result.stderr
    assert not (tmp_path / "p").exists()


def test_the_plot_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Refusal, match=r"p\.svg: matplotlib cannot be imported"):
        draw(_result(0.8), _Error(), 1.0, "p.svg")


def test_quantised_samples_and_float_ones_give_the_same(data: Data, tmp_path: Path) -> None:
    ints = np.rint(data.windows * 255 - 128).astype(np.int8)
    files = {
        "c": data.file("ints_c.npz", x=ints[::2]),
        "v": data.file("ints_v.npz", x=ints[1::2], y=data.windows[1::2]),
    }
    one, other = tmp_path / "1", tmp_path / "2"
    asked(*data.call(_SLIMS, "-o", one, "--no-distil"))
    asked(*data.call(_SLIMS, "-o", other, "--no-distil", **files))
    assert one.read_bytes() == other.read_bytes()
