"""`./run bench slim`: what the tables say of recorded runs, which limits are missed, a real run."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import slim
from slimming import report, runs, store
from slimming.data import PARTS, count_as_one, is_made, read_pair
from slimming.kinds import HELD_OUT, KINDS, NAMES, RECIPE, SEEDS, is_held_out, kind_of
from slimming.runs import BUDGETS, Candidate, Run, Task, perform
from slimming.store import Bench
from slimming.ways import DIAGONAL, DISTILLED, THRESHOLD, TITLES, candidates
from tinymldelta.accuracy import judge
from tinymldelta.accuracy.metrics import Compared, Seen, _auc
from tinymldelta.interpreter import TFLM, Interpreter, find_interpreter
from tinymldelta.model import read_model
from tinymldelta.slim import search
from tinymldelta.slim.network import Network
from tinymldelta.slim.search import Outcome

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS, SST = (REPOSITORY / "samples" / "host" / "models" / name for name in ("digits", "sst"))
RECORDED = REPOSITORY / "benchmarks"

CaptureFixture = pytest.CaptureFixture[str]

SLIMMED, NO_UPDATE, NOT_SLIMMED = (outcome.value for outcome in Outcome)


def need(there: bool, what: str) -> None:
    """Skip without `what`; in CI, where nothing is to be skipped, fail."""
    if not there:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {what}")


def run(pair: str = "cnn-drift_1", way: str = DISTILLED, budget: float = 1.0) -> Run:
    """One that keeps all limits."""
    return Run(
        pair=pair, way=way, budget=budget, outcome=SLIMMED, file_bytes=8000, ordinary=1000,
        patch=400, ordinary_whole=1100, patch_whole=500, target_value=0.95, base_value=0.8,
        validation=3675, drop=0.25, bound=0.45, test=3654, base_drop=15.0, test_drop=0.125,
        changed=36, seconds=50.0, cpu=20.0, tools={"detools": (2000, 1000)},
        path=(Candidate(700, -0.0625, 0.25), Candidate(400, 0.25, None)),
    )  # fmt: skip


def bench_of(*some: Run) -> Bench:
    return Bench(some, ["tinymldelta 0.1.0", "Python 3.11.7, 2 cores"])


def cells(markdown: str, row: str) -> list[str]:
    """Of the first row of a table that begins with this."""
    (line, *_) = [line for line in markdown.splitlines() if line.startswith(f"| {row}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


# ---- limits ----


def test_limits_that_are_kept() -> None:
    bench = bench_of(run(), run(budget=0.5))
    assert report.missed_lines(bench) == []
    text = report.render_markdown(bench, None)
    assert cells(text, "slimmed ÷ ordinary patch at 1 pp")[1:] == [
        "1", "0.400", "0.45", "0.30", "kept",
    ]  # fmt: skip
    assert cells(text, "the same of whole patches at 0.5 pp")[2] == f"{500 / 1100:.3f}"
    assert "MISSED" not in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patch": 451}, "0.451 at 1 pp, at most 0.45"),
        ({"outcome": NOT_SLIMMED, "patch": 1000}, "1.000 at 1 pp, at most 0.45"),
        ({"test_drop": 1.001}, "0 of 1 runs within the budget on test data, at least 90 %"),
        ({"cpu": 60.5}, "cnn-drift_1 at 1 pp takes 60 s of the processor, at most 60"),
    ],
)
def test_limits_that_are_missed(changed: dict[str, object], said: str) -> None:
    bench = bench_of(replace(run(), **changed))  # type: ignore[arg-type]
    assert f"MISSED: {said}" in report.missed_lines(bench)
    assert f"## Missed\n\n- {said}" in report.render_markdown(bench, None)


# ---- pairs held out ----


def test_pairs_held_out_stand_apart() -> None:
    """They are in no mean with the others, and have their own."""
    bench = bench_of(run(), replace(run("cnn-drift_4"), patch=300, as_one=1.25))
    text = report.render_markdown(bench, None)
    above, _, below = text.partition("## The same limits, on pairs that nothing was chosen on")
    assert cells(above, "slimmed ÷ ordinary patch at 1 pp")[1:3] == ["1", "0.400"]
    assert cells(below, "slimmed ÷ ordinary patch at 1 pp")[1:3] == ["1", "0.300"]
    assert "| cnn-drift_4" not in text.partition(", pairs held out")[0]
    assert cells(text.partition(", pairs held out")[2], "cnn-drift: ")[1] == "0.300"
    own, others = (cells(text, name)[-3] for name in ("cnn-drift_4", "cnn-drift_1"))
    assert (own, others) == ("1.25", "–")
    assert cells(below, "test samples that count as one: median")[1:3] == ["1", "1.25"]
    assert "the large model" not in below.partition("##")[0]
    lines = report.summary_lines(bench)
    assert [line.partition(" of ")[0] for line in lines] == [
        "1 pp: 0.400", "1 pp, pairs held out: 0.300",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patch": 451}, "0.451 of the pairs held out at 1 pp, at most 0.45"),
        ({"test_drop": 1.001}, "0 of 1 runs of the pairs held out within the budget on test data"),
        ({"cpu": 60.5}, "cnn-drift_4 at 1 pp takes 60 s of the processor, at most 60"),
    ],
)
def test_limits_are_those_of_pairs_held_out_too(changed: dict[str, object], said: str) -> None:
    bench = bench_of(run(), replace(run("cnn-drift_4"), **changed))  # type: ignore[arg-type]
    (line,) = report.missed_lines(bench)
    assert line.startswith(f"MISSED: {said}")


def test_pairs_held_out_are_for_tmd_slim_alone() -> None:
    tasks = slim.tasks_for(["ds-more_5"], list(TITLES), Path("pairs"))
    assert [(task.way, task.budgets) for task in tasks] == [
        (DISTILLED, (budget,)) for budget in BUDGETS
    ]


# ---- how many samples count as one ----


def _seen(base: object, target: object) -> list[Seen]:
    pairs = zip(np.ravel(base), np.ravel(target), strict=True)  # type: ignore[call-overload]
    return [Seen(b, t, changed=b != t) for b, t in pairs]


def test_views_that_all_say_the_same_count_as_one() -> None:
    random = np.random.default_rng(0)
    base, target = random.random((2, 90)) < 0.8
    seen = _seen(np.tile(base, 7), np.tile(target, 7))
    assert count_as_one(seen, None, 7) == pytest.approx(7)
    scores = random.normal(0, 1, (2, 90))
    labels = np.tile(np.arange(90) % 2 == 1, 7)
    seen = _seen(*(np.tile(one, 7) for one in scores))
    assert count_as_one(seen, labels, 7) == pytest.approx(7)


def test_samples_that_are_independent_count_as_many() -> None:
    random = np.random.default_rng(1)
    seen = _seen(*(random.random((2, 7 * 4000)) < 0.8))
    assert count_as_one(seen, None, 7) == pytest.approx(1, abs=0.1)
    labels = random.random(7 * 4000) < 0.5
    assert count_as_one(_seen(*random.normal(0, 1, (2, 7 * 4000))), labels, 7) == pytest.approx(
        1, abs=0.1
    )
    assert count_as_one(_seen(labels, labels), None, 7) is None


def test_it_is_what_drawing_things_in_place_of_samples_does_to_an_auc() -> None:
    """Half of what a score says is the thing's, half the view's; all views have its label."""
    random = np.random.default_rng(2)
    things, views = 300, 5
    labels = np.tile(np.arange(things) % 2 == 1, views)

    def noise() -> np.ndarray:
        return np.tile(random.normal(0, 1, things), views) + random.normal(0, 1, labels.size)

    scores = [1.5 * labels + noise() for _ in range(2)]
    found = count_as_one(_seen(*scores), labels, views)

    def drop(rows: np.ndarray) -> float:
        return float(np.subtract(*(_auc(s[rows], labels[rows]) for s in scores)))

    drops: list[list[float]] = [[], []]
    for _ in range(400):
        drops[0].append(drop(random.integers(0, labels.size, labels.size)))
        drawn = random.integers(0, things, things)
        drops[1].append(drop((drawn + things * np.arange(views)[:, None]).ravel()))
    assert found == pytest.approx(np.var(drops[1]) / np.var(drops[0]), rel=0.25)
    assert found is not None and found > 1.3


# ---- means ----


def test_the_mean_is_geometric_and_knows_of_what_was_not_slimmed() -> None:
    found = [
        run("cnn-drift_1"),
        replace(run("cnn-drift_2"), outcome=NOT_SLIMMED, patch=1000, test_drop=0.0),
        replace(run("cnn-drift_3"), outcome=NO_UPDATE, patch=None, patch_whole=None),
        replace(run("large-drift_1"), patch=1, cpu=250.0),
        replace(run("cnn-more_1", THRESHOLD), patch=1),
    ]
    text = report.render_markdown(bench_of(*found), None)
    row = cells(text, "slimmed ÷ ordinary patch at 1 pp")
    assert row[1:3] == ["3", f"{0.4**0.5:.3f}"]
    # One that was not slimmed loses nothing for certain, so it does not count.
    assert cells(text, "within 1 pp on test data")[1:3] == ["2", "100 %"]
    assert cells(text, "most seconds, the large model")[1:] == ["1", "250", "300", "–", "kept"]
    assert cells(text, "cnn-drift:")[1] == f"{0.4**0.5:.3f}"
    side = cells(text, TITLES[DISTILLED])
    assert side[1] == f"{0.4**0.5:.3f}"
    assert side[-5:-2] == ["1", "1", "1"]
    assert cells(text, TITLES[THRESHOLD])[1] == "0.001"


def test_nine_of_ten_on_test_data_are_enough() -> None:
    good = [run(f"{kind}_{seed}") for kind in KINDS for seed in SEEDS][:9]
    bad = replace(run("ds-more_3"), test_drop=3.0)
    assert report.missed_lines(bench_of(*good, bad)) == []
    assert len(report.missed_lines(bench_of(*good[:8], bad))) == 1


def test_tools_are_compared_with_themselves_and_with_ours() -> None:
    other = replace(run("cnn-drift_2"), patch=100, tools={"detools": (800, 200)})
    text = report.render_markdown(bench_of(run(), other), None)
    row = cells(text, "detools")
    means = [(1 / 2 * 1 / 4), (0.4 * 0.1), (400 / 1000 * 100 / 200), (400 / 2000 * 100 / 800)]
    assert row[1:] == ["1", "2", *(f"{mean**0.5:.3f}" for mean in means)]


def test_faults_are_said(capsys: CaptureFixture) -> None:
    bench = bench_of(replace(run(), fault="it has other tensors than the base"))
    assert slim.summary(bench) == 1
    err = capsys.readouterr().err
    assert "FAULT: cnn-drift_1, distilled at 1 pp: it has other tensors than the base" in err
    text = report.render_markdown(bench, None)
    assert "## Faults\n\n- cnn-drift_1, distilled at 1 pp: it has other tensors" in text
    assert cells(text, "of these without a difference") == ["of these without a difference", "0"]


# ---- what is recorded ----


def test_a_tsv_says_all_that_runs_say() -> None:
    none = replace(
        run(budget=0.5), outcome=NO_UPDATE, patch=None, patch_whole=None, drop=None, bound=None,
        tools={}, path=(), fault="a fault",
    )  # fmt: skip
    bench = bench_of(run(), none)
    assert store.read_tsv(store.render_tsv(bench)) == bench


def test_the_recorded_report_is_that_of_the_recorded_runs() -> None:
    need((RECORDED / "slim.tsv").is_file(), "benchmarks/slim.tsv, of `./run bench slim`")
    bench = store.read_tsv((RECORDED / "slim.tsv").read_text(encoding="utf-8"))
    assert store.render_tsv(bench) == (RECORDED / "slim.tsv").read_text(encoding="utf-8")
    said = report.render_markdown(bench, "slim.svg")
    assert said == (RECORDED / "slim.md").read_text(encoding="utf-8")
    # All runs are listed: each pair, way and budget; of the large one the larger budget alone.
    # The pairs held out are for what is promised of `tmd slim`.
    small = [n for n in NAMES if n != "large-drift_1"]
    wanted = {
        (n, w, b) for n in small for w in TITLES for b in BUDGETS
        if w == DISTILLED or not is_held_out(n)
    }  # fmt: skip
    wanted.add(("large-drift_1", DISTILLED, BUDGETS[0]))
    assert {(r.pair, r.way, r.budget) for r in bench.runs} == wanted
    assert len(bench.runs) == len(wanted)
    assert report.fault_lines(bench) == []


def test_a_report_is_made_anew_from_recorded_runs(tmp_path: Path) -> None:
    need(importlib.util.find_spec("matplotlib") is not None, "requirements/peers.txt")
    bench = bench_of(run(), run(budget=0.5), run("auto-drift_1"))
    recorded = tmp_path / "slim.tsv"
    recorded.write_text(store.render_tsv(bench), encoding="utf-8")
    written = []
    for out in (tmp_path / "first", tmp_path / "second"):
        assert slim.main(["--from", str(recorded), "--out", str(out)]) == 0
        assert sorted(p.name for p in out.iterdir()) == ["slim.md", "slim.svg", "slim.tsv"]
        written.append([p.read_bytes() for p in sorted(out.iterdir())])
    assert written[0] == written[1]
    assert b"candidates on validation data, seed 1" in written[0][1]
    with recorded.open(encoding="utf-8") as file:
        rows = list(csv.DictReader((x for x in file if x[0] != "#"), delimiter="\t"))
    assert rows[0]["path"] == "700/-0.0625/0.2500 400/0.2500/-"
    assert rows[0]["detools_slimmed"] == "1000"
    assert rows[0]["bsdiff4_slimmed"] == "-"


def test_without_matplotlib_no_old_plot_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "slim.svg").write_text("of another run")
    assert slim.write(bench_of(run()), tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slim.md", "slim.tsv"]
    assert "slim.svg" not in (tmp_path / "slim.md").read_text(encoding="utf-8")
    assert "absent: matplotlib" in capsys.readouterr().err


# ---- a small pair, for real ----

BUDGET = 5.5  # percent of the error: what so few samples can bound


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host sample's autoencoder, with the true ones of its few samples."""
    folder = tmp_path_factory.mktemp("slim") / "sst_1"
    folder.mkdir()
    for name in ("base", "target"):
        (folder / f"{name}.tflite").write_bytes((SST / f"{name}.tflite").read_bytes())
    q = read_model((SST / "base.tflite").read_bytes(), "base").input_tensors[0].quantisation
    assert q is not None
    with np.load(SST / "eval.npz") as samples:
        x = (samples["inputs"][samples["labels"] == 0].astype(np.float32) + 128) * q.scale[0]
    for first, part in enumerate(PARTS):
        # A restored sample is compared with what was given.
        rows = x[first::3].astype(np.float32)
        np.savez(folder / f"{part}.npz", x=rows, y=rows)
    about = {"recipe": RECIPE, "metric": "mae"}
    (folder / "pair.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    found = find_interpreter(TFLM)
    need(found is not None and found.name == TFLM, "pip install -r requirements/demo.txt")
    assert found is not None
    return found


@pytest.mark.parametrize("way", TITLES)
def test_a_real_run(made: Path, interpreter: Interpreter, way: str) -> None:
    (one,) = perform(Task(str(made), way, (BUDGET,)))
    assert (one.pair, one.way, one.budget, one.fault) == ("sst_1", way, BUDGET, "")
    assert one.outcome == SLIMMED
    assert one.patch in [c.patch for c in one.path]
    assert one.patch is not None
    assert 0 < one.patch < one.ordinary < one.ordinary_whole < one.file_bytes
    assert one.ordinary_whole - one.ordinary == (one.patch_whole or 0) - one.patch > 0
    assert one.bound is not None
    assert one.bound <= BUDGET
    # As the gate itself finds it.
    pair = read_pair(made)
    gate = judge(
        pair.target, pair.base, pair.test, pair.metric_on(pair.test), interpreter,
        base_where="target", target_where="base", max_drop=1e30,
    )  # fmt: skip
    assert one.base_drop == gate.result.drop
    assert one.test == gate.result.samples


def test_other_ways_are_held_to_the_rule_of_the_library() -> None:
    for drop in np.arange(-1, 1, 0.05):
        for bound in (None, drop, drop + 0.1, drop + 0.3, drop + 0.4):
            theirs = search.is_within(drop, bound, 0.5)
            assert runs.is_within(Compared(0.9, 0.9, drop, bound), 0.5) == theirs


def test_one_path_serves_all_budgets(made: Path, interpreter: Interpreter) -> None:
    """And as slim(), a base within the budget is left alone, a budget of 0 is too small."""
    large, middle, none = perform(Task(str(made), DIAGONAL, (50.0, BUDGET, 0.0)))
    assert (large.outcome, middle.outcome, none.outcome) == (NO_UPDATE, SLIMMED, NOT_SLIMMED)
    assert (large.patch, large.ratio, none.ratio) == (None, None, 1.0)
    assert large.test_drop == large.base_drop
    assert none.test_drop == 0.0
    (alone,) = perform(Task(str(made), DIAGONAL, (BUDGET,)))
    assert (alone.patch, alone.bound, alone.test_drop) == (
        middle.patch, middle.bound, middle.test_drop,
    )  # fmt: skip


def test_a_threshold_leaves_no_small_difference(made: Path) -> None:
    pair = read_pair(made)
    base, target = Network(pair.base, "base"), Network(pair.target, "target")
    first, *others = candidates(THRESHOLD, pair, 0)
    slimmed = Network(first, "slimmed")
    dropped = 0
    for i, layer in slimmed.layers.items():
        was = np.rint(base.layers[i].q * (base.layers[i].scale / layer.scale)[:, None])
        away = np.abs(layer.q - was)
        assert not ((away > 0) & (away <= 1)).any()
        kept = away > 0
        assert (layer.q[kept] == target.layers[i].q[kept]).all()
        dropped += int((layer.q != target.layers[i].q).sum())
        # All else is the target's.
        assert (layer.scale == target.layers[i].scale).all()
        assert (layer.bias == target.layers[i].bias).all()
    assert dropped > 0
    assert others[-1] != first


def test_another_model_than_a_firmware_expects_is_noticed() -> None:
    """The sample has models that firmware for the base has to refuse."""
    base = (DIGITS / "base.tflite").read_bytes()
    assert runs._differences(base, (DIGITS / "target.tflite").read_bytes()) == ""
    for name, said in (
        ("refused_new_operator", "other operators"),
        ("refused_larger_arena", "other tensors"),
        ("refused_input_shape", "other tensors"),
    ):
        model = (DIGITS / f"{name}.tflite").read_bytes()
        assert said in runs._differences(base, model)
    # Its input is quantised otherwise: tensors and operators are the same.
    changed = bytearray(base)
    q = read_model(base, "base").input_tensors[0].quantisation
    assert q is not None and q.scale_span is not None
    changed[q.scale_span.offset] ^= 1
    assert "guardrails" in runs._differences(base, bytes(changed))


# ---- the command ----


def test_what_is_done_is_not_done_again(
    made: Path, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture
) -> None:
    """And with a part of the pairs nothing is written."""
    finished = store.Finished(made.parent / "runs", store.library_digest())
    for task in slim.tasks_for(["sst_1"], list(TITLES), made.parent):
        found = [replace(run("sst_1", task.way, budget), tools={}) for budget in task.budgets]
        finished.put(task, found)
        assert finished.get(task) == found
        assert store.Finished(made.parent / "runs", "other code").get(task) is None
    before = {path.name for path in REPOSITORY.joinpath("benchmarks").iterdir()}
    monkeypatch.setattr(slim, "versions", lambda: ["tinymldelta 0"])
    arguments = ["--only", "sst_1", "--build", str(made.parent), "--jobs", "1"]
    assert slim.main(arguments) == 0
    assert {path.name for path in REPOSITORY.joinpath("benchmarks").iterdir()} == before
    assert "1 pp: 0.400 of the ordinary patch over 1 runs" in capsys.readouterr().out


def test_too_few_samples_are_refused_as_the_library_does(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture
) -> None:
    """In a process of its own, for real: its refusal ends the run."""
    need(find_interpreter(TFLM) is not None, "pip install -r requirements/demo.txt")
    folder = tmp_path / "digits_1"
    shutil.copytree(made, folder)
    for name in ("base", "target"):
        shutil.copy(DIGITS / f"{name}.tflite", folder)
    (folder / "pair.json").write_text(json.dumps({"recipe": RECIPE, "metric": "accuracy"}))
    random = np.random.default_rng(0)
    for part in PARTS:
        x = random.random((50, 8, 8, 1), np.float32)
        np.savez(folder / f"{part}.npz", x=x, y=np.arange(50, dtype=np.uint8) % 10)
    monkeypatch.setattr(slim, "versions", lambda: [])
    monkeypatch.setattr(slim, "one_thread", lambda: None)
    arguments = ["--only", "digits_1", "--way", DISTILLED, "--build", str(tmp_path), "--jobs", "1"]
    assert slim.main(arguments) == 1
    assert "too few" in capsys.readouterr().err


def test_runs_that_are_done_anew_take_the_place_of_those_recorded(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture
) -> None:
    monkeypatch.setattr(slim, "versions", lambda: ["tinymldelta 0"])
    build, record = made.parent, tmp_path / "slim.tsv"
    finished = store.Finished(build / "runs", store.library_digest())
    (task,) = [t for t in slim.tasks_for(["sst_1"], [DISTILLED], build) if t.budgets == (0.5,)]
    finished.put(task, [replace(run("sst_1", DISTILLED, 0.5), tools={}, patch=300)])
    monkeypatch.setattr(slim, "tasks_for", lambda *_: [task])
    recorded = [run(), run("cnn-drift_4"), run("sst_1"), run("sst_1", budget=0.5)]
    record.write_text(store.render_tsv(Bench(recorded, ["tinymldelta 0"])))
    call = ["--from", str(record), "--only", "sst_1", "--way", DISTILLED, "--build", str(build)]
    assert slim.main([*call, "--jobs", "1"]) == 0
    found = store.read_tsv(record.read_text(encoding="utf-8")).runs
    assert [(r.pair, r.budget, r.patch) for r in found] == [
        ("cnn-drift_1", 1.0, 400), ("cnn-drift_4", 1.0, 400), ("sst_1", 1.0, 400),
        ("sst_1", 0.5, 300),
    ]  # fmt: skip
    assert "cnn-drift_4" in (tmp_path / "slim.md").read_text(encoding="utf-8")
    # What was recorded with other versions does not go with runs of these.
    monkeypatch.setattr(slim, "versions", lambda: ["tinymldelta 1"])
    before = record.read_bytes()
    assert slim.main([*call, "--jobs", "1"]) == 1
    assert "other versions than these: tinymldelta 0, tinymldelta 1" in capsys.readouterr().err
    assert record.read_bytes() == before


def test_a_record_may_be_older_than_a_column() -> None:
    """What it does not say is not known."""
    lines = store.render_tsv(bench_of(replace(run(), as_one=1.5))).splitlines()
    head = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    at = lines[head].split("\t").index("as_one")
    older = [
        line if i < head else "\t".join(c for n, c in enumerate(line.split("\t")) if n != at)
        for i, line in enumerate(lines)
    ]
    (found,) = store.read_tsv("\n".join(older)).runs
    assert found == run()


def test_pairs_of_another_recipe_are_made_again(made: Path, tmp_path: Path) -> None:
    assert is_made(made)
    assert not is_made(tmp_path)
    (tmp_path / "pair.json").write_text(json.dumps({"recipe": RECIPE - 1}))
    assert not is_made(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [["--only", "no_pair"], ["--way", "no-way"], ["--jobs", "0"]],
)
def test_wrong_calls(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        slim.main([*arguments, "--build", str(tmp_path)])
    assert ended.value.code == 2
    assert list(tmp_path.iterdir()) == []


def test_every_kind_has_three_seeds_and_a_recipe() -> None:
    for held_out, seeds in ((False, SEEDS), (True, HELD_OUT)):
        assert [n for n in NAMES if kind_of(n) in KINDS and is_held_out(n) == held_out] == [
            f"{kind}_{seed}" for seed in seeds for kind in KINDS
        ]
        assert len(seeds) >= 3
    assert len(KINDS) >= 5
    assert not {*SEEDS} & {*HELD_OUT}
    # pairs.py needs TensorFlow: only its text is read here.
    text = (REPOSITORY / "benchmarks" / "slimming" / "pairs.py").read_text(encoding="utf-8")
    made = re.findall(r'^    "([a-z-]+)": Kind\(', text, re.M)
    assert made == list(dict.fromkeys(kind_of(name) for name in NAMES))
