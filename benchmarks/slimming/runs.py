"""One run: a pair, a way to slim it, a budget; and what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from peers.libraries import BSDIFF4, DETOOLS, HPATCHLITE
from peers.ours import Made, apply, make_format2
from peers.peer import Absent, attempt
from slimming.data import Judge, Pair, Verdict, read_pair
from slimming.ways import DISTILLED, candidates
from tinymldelta.accuracy.metrics import Compared
from tinymldelta.container.patch import Metadata
from tinymldelta.delta.encode import encode
from tinymldelta.interpreter import TFLM, find_interpreter
from tinymldelta.model import read_model
from tinymldelta.patching import target_metadata
from tinymldelta.said import Said
from tinymldelta.slim import search
from tinymldelta.slim.search import Outcome, SlimOptions, slim
from tinymldelta.tflm import DEFAULT_KERNELS
from tinymldelta.wire import constants as wire

BUDGETS: Final = (1.0, 0.5)  # in percentage points
SEED: Final = 0  # of slimming
TOOLS: Final = {"detools": DETOOLS, "hpatchlite": HPATCHLITE, "bsdiff4": BSDIFF4}


@dataclass(frozen=True)
class Candidate:
    """Header and body of its patch, in bytes; and how it does on the validation samples."""

    patch: int
    drop: float
    bound: float | None


@dataclass(frozen=True)
class Run:
    """What came of one run. Drops are in percentage points, against the target.

    ordinary, patch: header and body of the target's patch and of the slimmed one; *_whole: with all
    else that a patch has. patch is None if the base needs no update; if nothing could be slimmed,
    it is the ordinary one. target_value, base_value: of the metric, on validation samples.
    drop, bound: of the slimmed model, on validation samples. base_drop, test_drop, changed: on test
    samples; changed: how many get another answer. seconds, cpu: of the clock and of the processor;
    of the candidates for all budgets, but for `distilled`. tools: the smallest patch of each, of
    the target and of the slimmed one. fault: what is wrong with the slimmed model, if anything.
    as_one: how many test samples count as one, as the drop varies; None where that is not known.
    """

    pair: str
    way: str
    budget: float
    outcome: str
    file_bytes: int
    ordinary: int
    patch: int | None
    ordinary_whole: int
    patch_whole: int | None
    target_value: float
    base_value: float
    validation: int
    drop: float | None
    bound: float | None
    test: int
    base_drop: float
    test_drop: float
    changed: int
    seconds: float
    cpu: float
    tools: dict[str, tuple[int, int]] = field(default_factory=dict)
    path: tuple[Candidate, ...] = ()
    fault: str = ""
    as_one: float | None = None

    @property
    def ratio(self) -> float | None:
        """Of the patches; None if the base needs no update."""
        return None if self.patch is None else self.patch / self.ordinary

    @property
    def whole_ratio(self) -> float | None:
        return None if self.patch_whole is None else self.patch_whole / self.ordinary_whole

    @property
    def within(self) -> bool:
        """Whether it keeps the budget on samples that no step has seen."""
        return self.test_drop <= self.budget


@dataclass(frozen=True)
class Task:
    """What one process does at a time: one way at one budget, or a path for several budgets."""

    folder: str
    way: str
    budgets: tuple[float, ...]


def perform(task: Task) -> list[Run]:
    """One run for each budget. Raises Absent without TensorFlow Lite Micro, and Refusal."""
    work = _Work(read_pair(Path(task.folder)))
    if task.way == DISTILLED:
        return [work.distilled(budget) for budget in task.budgets]
    return work.along(task.way, task.budgets)


def is_within(compared: Compared, budget: float) -> bool:
    """The rule of the library."""
    return search.is_within(compared.drop, compared.bound, budget)


@dataclass(frozen=True)
class _Found:
    """A model, or None for the target itself; and how it does on the validation samples."""

    outcome: Outcome
    model: bytes | None
    drop: float | None
    bound: float | None


class _Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


class _Work:
    """One pair, ready to be slimmed."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        interpreter = find_interpreter(TFLM)
        if interpreter is None or interpreter.name != TFLM:
            raise Absent("pip install -r requirements/demo.txt")
        self._interpreter = interpreter
        made = _patch(pair.base, pair.target)
        if isinstance(made, str):
            raise RuntimeError(f"{pair.name}: of the target, {made}")
        self._ordinary = made
        self._header = made.counted - len(encode(pair.base, pair.target))

    @cached_property
    def _test(self) -> Judge:
        return Judge(self._pair, self._pair.test, self._interpreter)

    @cached_property
    def _base_on_test(self) -> Verdict:
        return self._test.compare(self._pair.base)

    def distilled(self, budget: float) -> Run:
        """As `tmd slim` does it."""
        pair, clock = self._pair, _Clock()
        result = slim(
            pair.base, pair.target, pair.calibration, pair.validation,
            pair.metric_on(pair.validation), self._interpreter, SlimOptions(budget, seed=SEED),
            base_where="base", target_where="target",
        )  # fmt: skip
        spent = clock.read()
        against = result.against_target
        found = _Found(
            result.outcome,
            result.model,
            against.drop if against else None,
            against.bound if against else None,
        )
        path = tuple(
            Candidate(p.patch_bytes + self._header, p.drop, p.bound) for p in result.points
        )
        values = result.target_value, result.base_value
        return self._run(DISTILLED, budget, found, values, spent, path, tools=True)

    def along(self, way: str, budgets: Sequence[float]) -> list[Run]:
        """Candidates in their order, each judged once for all budgets, and chosen as slim() does:
        the last one within the budget before two that are beyond it.
        """
        pair, clock = self._pair, _Clock()
        judge = Judge(pair, pair.validation, self._interpreter)
        alone = judge.compare(pair.base).compared
        path: list[Candidate] = []
        found: dict[float, _Found] = {}
        failures = dict.fromkeys(budgets, 0)
        for budget in budgets:
            if is_within(alone, budget):
                found[budget] = _Found(Outcome.NO_UPDATE, None, None, None)
                failures[budget] = search.FAILURES
        before = b""
        for model in candidates(way, pair, SEED):
            if min(failures.values()) >= search.FAILURES:
                break
            patch = len(encode(pair.base, model)) + self._header
            if patch >= self._ordinary.counted or model == before:
                continue
            before = model
            compared = judge.compare(model).compared
            path.append(Candidate(patch, compared.drop, compared.bound))
            for budget in budgets:
                if failures[budget] >= search.FAILURES:
                    continue
                within = is_within(compared, budget)
                if within:
                    found[budget] = _Found(Outcome.SLIMMED, model, compared.drop, compared.bound)
                share = patch / self._ordinary.counted
                failures[budget] = search.failures_after(failures[budget], within, share)
        spent = clock.read()
        none = _Found(Outcome.NOT_SLIMMED, None, None, None)
        values = alone.base, alone.target
        return [
            self._run(way, budget, found.get(budget, none), values, spent, tuple(path))
            for budget in budgets
        ]

    def _run(
        self,
        way: str,
        budget: float,
        found: _Found,
        values: tuple[float, float],
        spent: tuple[float, float],
        path: tuple[Candidate, ...],
        *,
        tools: bool = False,
    ) -> Run:
        pair, ordinary = self._pair, self._ordinary
        seen: Verdict | None = None
        patch, whole = ordinary.counted, ordinary.parts["total"]
        fault, sizes = "", {}
        if found.outcome is Outcome.NO_UPDATE:
            seen = self._base_on_test
        elif found.model is not None:
            seen = self._test.compare(found.model)
            made = _patch(pair.base, found.model)
            fault = _differences(pair.base, found.model)
            if isinstance(made, str):
                fault = fault or made
            else:
                patch, whole = made.counted, made.parts["total"]
            if tools:
                sizes = _tool_sizes(pair, found.model)
        updates = found.outcome is not Outcome.NO_UPDATE
        return Run(
            pair=pair.name,
            way=way,
            budget=budget,
            outcome=found.outcome.value,
            file_bytes=len(pair.target),
            ordinary=ordinary.counted,
            patch=patch if updates else None,
            ordinary_whole=ordinary.parts["total"],
            patch_whole=whole if updates else None,
            target_value=values[0],
            base_value=values[1],
            validation=len(pair.validation),
            drop=found.drop,
            bound=found.bound,
            test=len(pair.test),
            base_drop=self._base_on_test.compared.drop,
            test_drop=seen.compared.drop if seen else 0.0,
            changed=seen.changed if seen else 0,
            seconds=spent[0],
            cpu=spent[1],
            tools=sizes,
            path=path,
            fault=fault,
            as_one=seen.as_one if seen else None,
        )


def _patch(base: bytes, target: bytes) -> Made | str:
    """A patch that the device's code applied, byte for byte; or what went wrong."""
    result = attempt(make_format2, apply, base, target)
    return result.made if result.made is not None else result.fault


def _differences(base: bytes, model: bytes) -> str:
    """What a firmware for the base would see of the slimmed model, where it must see nothing."""
    one, other = read_model(base, "base"), read_model(model, "model")
    if [(o.name, o.version) for o in one.operators] != [
        (o.name, o.version) for o in other.operators
    ]:
        return "it has other operators than the base"
    if [(t.name, t.type, t.shape) for t in one.tensors] != [
        (t.name, t.type, t.shape) for t in other.tensors
    ]:
        return "it has other tensors than the base"
    metadata = [
        target_metadata(
            data, "model", Said("model"), wire.FORMAT_2, DEFAULT_KERNELS, Metadata(), names=True
        )
        for data in (base, model)
    ]
    return "" if metadata[0] == metadata[1] else "its guardrails are not those of the base"


def _tool_sizes(pair: Pair, model: bytes) -> dict[str, tuple[int, int]]:
    """The smallest of each tool's configurations, for the target and for the slimmed one."""
    sizes = {}
    for name, peers in TOOLS.items():
        found = []
        for target in (pair.target, model):
            tried = [attempt(p.make, p.apply, pair.base, target).made for p in peers]
            found.append(min((len(patch) for patch in tried if patch is not None), default=0))
        if all(found):
            sizes[name] = (found[0], found[1])
    return sizes


def one_thread() -> None:
    """For the processes that are started from here on."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
