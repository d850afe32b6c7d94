"""What the runs come to, as Markdown and as lines. The same runs give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import median
from typing import Final

from measure import tables
from peers.compare import geometric_mean
from slimming.kinds import HELD_OUT, KINDS, LARGE, is_held_out, is_large, kind_of
from slimming.runs import BUDGETS, TOOLS, Run
from slimming.store import Bench
from slimming.ways import DISTILLED, TITLES
from tinymldelta.slim.search import Outcome

# Of issue 9: geometric mean of patch over ordinary patch, by budget; and what was hoped for.
LIMITS: Final = {1.0: 0.45, 0.5: 0.62}
AIMS: Final = {1.0: 0.30, 0.5: 0.45}
WITHIN_MIN: Final = 90  # percent of runs that keep the budget on test data
SECONDS_MAX: Final = {False: 60, True: 300}  # by whether the pair is large

_HELD_OUT: Final = ", pairs held out"
_TOOL_NAMES: Final = {"detools": "detools", "hpatchlite": "HPatchLite", "bsdiff4": "bsdiff4"}


# ---- what the runs come to ----


def _of(bench: Bench, budget: float, way: str = DISTILLED, *, held_out: bool = False) -> list[Run]:
    """Of the small pairs: those that are held out, or the others."""
    return [
        run
        for run in bench.runs
        if run.way == way
        and run.budget == budget
        and not is_large(run.pair)
        and is_held_out(run.pair) == held_out
    ]


def _mean(runs: Sequence[Run], ratio: Callable[[Run], float | None]) -> float | None:
    """Geometric, over the runs in which an update is needed."""
    ratios = [found for run in runs if (found := ratio(run)) is not None]
    return geometric_mean(ratios) if ratios else None


def _ratio(run: Run) -> float | None:
    return run.ratio


def _whole_ratio(run: Run) -> float | None:
    return run.whole_ratio


def _sent(runs: Sequence[Run]) -> list[Run]:
    """Those with another model than the target: only they can lose anything."""
    return [run for run in runs if run.outcome != Outcome.NOT_SLIMMED.value]


def _within(runs: Sequence[Run]) -> tuple[int, int]:
    """How many keep the budget on test data, and of how many."""
    sent = _sent(runs)
    return sum(run.within for run in sent), len(sent)


def missed_lines(bench: Bench) -> list[str]:
    """One for each limit that is not kept."""
    lines = []
    for held_out, which in ((False, ""), (True, " of the pairs held out")):
        for budget in BUDGETS:
            mean = _mean(_of(bench, budget, held_out=held_out), _ratio)
            if mean is not None and mean > LIMITS[budget]:
                lines.append(
                    f"MISSED: {mean:.3f}{which} at {budget:g} pp, at most {LIMITS[budget]:.2f}"
                )
        runs = [run for budget in BUDGETS for run in _of(bench, budget, held_out=held_out)]
        within, of = _within(runs)
        if of and 100 * within < WITHIN_MIN * of:
            lines.append(
                f"MISSED: {within} of {of} runs{which} within the budget on test data, at least "
                f"{WITHIN_MIN} %"
            )
    for run in bench.runs:
        most = SECONDS_MAX[is_large(run.pair)]
        if run.way == DISTILLED and run.cpu > most:
            lines.append(
                f"MISSED: {run.pair} at {run.budget:g} pp takes {run.cpu:.0f} s of the processor, "
                f"at most {most}"
            )
    return lines


def fault_lines(bench: Bench) -> list[str]:
    """One for each slimmed model that is not what a firmware for the base expects."""
    return [
        f"FAULT: {run.pair}, {run.way} at {run.budget:g} pp: {run.fault}"
        for run in bench.runs
        if run.fault
    ]


# ---- tables ----


def build_tables(bench: Bench) -> Iterator[tables.Table]:
    has_held_out = any(is_held_out(run.pair) for run in bench.runs)
    yield limit_table(bench)
    if has_held_out:
        yield limit_table(bench, held_out=True)
    yield kind_table(bench)
    yield run_table(bench)
    if has_held_out:
        yield kind_table(bench, held_out=True)
        yield run_table(bench, held_out=True)
    yield from way_tables(bench)
    yield tool_table(bench)
    yield kept_table(bench)


def limit_table(bench: Bench, *, held_out: bool = False) -> tables.Table:
    title = "The same limits, on pairs that nothing was chosen on" if held_out else "Limits"
    table = tables.Table(title, ("", "runs", "found", "limit", "aim", ""))
    table.note = (
        "Patch: header and body, as in [size.md](size/size.md); whole: with guardrails, digests and"
        " all else that a patch has. Geometric means are over the runs in which an update is"
        " needed; what could not be slimmed counts as 1. Seconds are of the processor, on one"
        " thread."
    )
    if held_out:
        table.note = (
            "Seeds " + ", ".join(map(str, HELD_OUT)) + ". The margin of the bound and the share"
            " from which on failures count were chosen with an eye on the pairs above. These were"
            " made and run when both stood, and nothing was changed because of them."
        )
    for budget in BUDGETS:
        runs = _of(bench, budget, held_out=held_out)
        mean = _mean(runs, _ratio)
        limit = LIMITS[budget]
        table.add(
            f"slimmed ÷ ordinary patch at {budget:g} pp", len(runs), _shown(mean),
            f"{limit:.2f}", f"{AIMS[budget]:.2f}", _kept(None if mean is None else mean <= limit),
        )  # fmt: skip
        table.add(
            f"the same of whole patches at {budget:g} pp", len(runs),
            _shown(_mean(runs, _whole_ratio)), None, None, None,
        )  # fmt: skip
    everything = [run for budget in BUDGETS for run in _of(bench, budget, held_out=held_out)]
    for what, runs in [
        *((f"within {b:g} pp on test data", _of(bench, b, held_out=held_out)) for b in BUDGETS),
        ("within the budget on test data", everything),
    ]:
        within, of = _within(runs)
        judged = runs is everything
        table.add(
            what, of, f"{100 * within / of:.0f} %" if of else None,
            f"{WITHIN_MIN} %" if judged else None, None,
            _kept(100 * within >= WITHIN_MIN * of if judged and of else None),
        )  # fmt: skip
    known = [run.as_one for run in _sent(everything) if run.as_one is not None]
    if known:
        table.add(
            "test samples that count as one: median", len(known), f"{median(known):.2f}",
            None, None, None,
        )  # fmt: skip
        table.add(
            "the same: most", len(known), f"{max(known):.2f}", None, None, None
        )  # fmt: skip
    for large, name in ((False, "small models"), (True, "the large model")):
        if held_out and large:
            continue
        runs = [
            run
            for run in bench.runs
            if run.way == DISTILLED
            and is_large(run.pair) == large
            and is_held_out(run.pair) == held_out
        ]
        most = max((run.cpu for run in runs), default=None)
        limit = SECONDS_MAX[large]
        table.add(
            f"most seconds, {name}", len(runs), None if most is None else f"{most:.0f}",
            str(limit), None, _kept(None if most is None else most <= limit),
        )  # fmt: skip
    return table


def _shown(value: float | None, places: int = 3) -> str | None:
    return None if value is None else f"{value:.{places}f}"


def _kept(kept: bool | None) -> str | None:
    """None where there is nothing to judge."""
    return None if kept is None else "kept" if kept else "MISSED"


def kind_table(bench: Bench, *, held_out: bool = False) -> tables.Table:
    header = ["", *(f"patch at {b:g} pp" for b in BUDGETS)]
    header += [f"most lost on test data at {b:g} pp" for b in BUDGETS]
    table = tables.Table("By kind of pair" + _HELD_OUT * held_out, header)
    table.note = (
        "Geometric means of slimmed ÷ ordinary patch over seeds; and the largest drop, in"
        " percentage points."
    )
    for kind, title in (KINDS | LARGE).items():
        of_kind = [
            run
            for run in bench.runs
            if run.way == DISTILLED
            and kind_of(run.pair) == kind
            and is_held_out(run.pair) == held_out
        ]
        by_budget = [[run for run in of_kind if run.budget == b] for b in BUDGETS]
        if not any(by_budget):
            continue
        row: list[tables.Cell] = [f"{kind}: {title}"]
        row += [_shown(_mean(runs, _ratio)) for runs in by_budget]
        row += [_shown(max((r.test_drop for r in runs), default=None), 2) for runs in by_budget]
        table.add(*row)
    return table


def run_table(bench: Bench, *, held_out: bool = False) -> tables.Table:
    table = tables.Table(
        "All runs of `tmd slim`" + _HELD_OUT * held_out,
        ("pair", "file", "budget", "outcome", "ordinary", "patch", "ratio", "whole ratio",
         "drop", "up to", "base's drop on test", "drop on test", "within", "changed",
         "as one", "seconds", "of the processor"),
    )  # fmt: skip
    table.note = (
        "Bytes; drops in percentage points against the target: on validation data, up to which"
        " bound (95 % confident), and on test data. Changed: test samples that get another answer;"
        " an autoencoder's answers are no classes. As one: how many test samples tell as much of"
        " the drop as one would that is independent (its variance if digits are drawn, over that"
        " if views are; –: not recorded); the margin makes up for two. Seconds of the clock are of"
        " this machine as busy as it was."
    )
    for run in bench.runs:
        if run.way != DISTILLED or is_held_out(run.pair) != held_out:
            continue
        classes = not run.pair.startswith("auto")
        changed = f"{100 * run.changed / run.test:.1f} %" if classes else None
        table.add(
            run.pair, run.file_bytes, f"{run.budget:g}", run.outcome, run.ordinary, run.patch,
            _shown(run.ratio), _shown(run.whole_ratio), _shown(run.drop, 2), _shown(run.bound, 2),
            _shown(run.base_drop, 2), _shown(run.test_drop, 2), "yes" if run.within else "no",
            changed, _shown(run.as_one, 2), f"{run.seconds:.0f}", f"{run.cpu:.0f}",
        )  # fmt: skip
    return table


def way_tables(bench: Bench) -> Iterator[tables.Table]:
    """The ways side by side, for each budget."""
    for budget in BUDGETS:
        kinds = [k for k in KINDS if any(kind_of(run.pair) == k for run in _of(bench, budget))]
        table = tables.Table(
            f"Ways side by side, at {budget:g} pp",
            ("", "slimmed ÷ ordinary patch", *kinds, "slimmed", "no update", "not slimmed",
             "within on test", "most lost on test"),
        )  # fmt: skip
        if budget == BUDGETS[0]:
            table.note = (
                "The same pairs, validation data, bound and rule for what is taken. Geometric"
                " means; what could not be slimmed counts as 1."
            )
        for way, title in TITLES.items():
            runs = _of(bench, budget, way)
            if not runs:
                continue
            within, of = _within(runs)
            outcomes = [run.outcome for run in runs]
            table.add(
                title, _shown(_mean(runs, _ratio)),
                *(_shown(_mean([r for r in runs if kind_of(r.pair) == k], _ratio)) for k in kinds),
                *(outcomes.count(o.value) for o in Outcome),
                f"{within} of {of}", _shown(max(r.test_drop for r in runs), 2),
            )  # fmt: skip
        yield table


def tool_table(bench: Bench) -> tables.Table:
    table = tables.Table(
        "What other tools make of slimmed targets",
        ("", "budget", "pairs", "slimmed ÷ ordinary, both its own", "TinyMLDelta's, the same",
         "TinyMLDelta ÷ it, slimmed", "TinyMLDelta slimmed ÷ it ordinary"),
    )  # fmt: skip
    table.note = (
        "Geometric means over the pairs that were slimmed. Of each tool the configuration that is"
        " smallest for the file, which is stronger than any single one; only patches that rebuild"
        " their target count. Of ours header and body: no tool has the other parts."
    )
    for tool in TOOLS:
        for budget in BUDGETS:
            found = [
                (run.patch, run.ordinary, *run.tools[tool])
                for run in _of(bench, budget)
                if tool in run.tools and run.patch is not None
            ]
            if not found:
                continue
            table.add(
                _TOOL_NAMES[tool], f"{budget:g}", len(found),
                *(
                    f"{geometric_mean([r[a] / r[b] for r in found]):.3f}"
                    for a, b in ((3, 2), (0, 1), (0, 3), (0, 2))
                ),
            )  # fmt: skip
    return table


def kept_table(bench: Bench) -> tables.Table:
    """What was checked of slimmed models, whichever way they were slimmed."""
    made = [run for run in bench.runs if run.outcome == Outcome.SLIMMED.value]
    table = tables.Table("What a firmware for the base sees of slimmed models", ("", "models"))
    table.note = (
        "Each ran in TensorFlow Lite Micro on all test samples. Operators with versions, tensors"
        " with types and shapes, and all guardrails (arena, operators, tensors in and out with"
        " their quantisation and names) were compared with the base's. Each patch was applied by"
        " the device's C code on simulated flash, and gave the slimmed model byte for byte."
    )
    table.add("slimmed, all ways and budgets", len(made))
    table.add("of these without a difference", sum(not run.fault for run in made))
    return table


# ---- all of it ----


def run_line(run: Run) -> str:
    """One run for a terminal."""
    if run.fault:
        return f"{run.pair}, {run.way}, {run.budget:g} pp: FAULT: {run.fault}"
    said = run.outcome
    if run.outcome == Outcome.SLIMMED.value:
        said = f"{run.patch} of {run.ordinary} bytes ({_shown(run.ratio)})"
    return (
        f"{run.pair}, {run.way}, {run.budget:g} pp: {said}, {run.test_drop:.2f} lost on test data, "
        f"{run.seconds:.0f} s ({run.cpu:.0f} s of the processor)"
    )


def summary_lines(bench: Bench) -> list[str]:
    lines = []
    for held_out, budget in product((False, True), BUDGETS):
        runs = _of(bench, budget, held_out=held_out)
        if runs:
            within, of = _within(runs)
            lines.append(
                f"{budget:g} pp{_HELD_OUT * held_out}: {_shown(_mean(runs, _ratio)) or 'no update'}"
                f" of the ordinary patch over {len(runs)} runs (limit {LIMITS[budget]:.2f}),"
                f" {within} of {of} within the budget on test data"
            )
    return lines


def render_markdown(bench: Bench, plot: str | None) -> str:
    """`plot`: the file beside it that shows the same, if there is one."""
    pairs = dict.fromkeys(run.pair for run in bench.runs)
    samples = sorted({n for run in bench.runs for n in (run.validation, run.test)})
    counts = " to ".join(f"{n:,}" for n in dict.fromkeys((samples[0], samples[-1])))
    out = (
        "# Updates within an accuracy budget\n\n"
        f"Written by `./run bench slim`: {len(pairs)} pairs of a base and the same network"
        " retrained, all int8. Pictures are scikit-learn's handwritten digits as a camera sees"
        " them. Classifiers are judged by accuracy; autoencoders by AUC, how often a picture with a"
        " spot on the lens has a larger error than a clean one, which is in the same unit.\n\n"
        "Calibration, validation and test data are views of different digits, and none of them was"
        f" trained on; validation and test data have {counts} samples each. Seven of them are views"
        " of one digit: they are not independent, so the bounds, which take them to be, are closer"
        " than they should be, by the root of how many count as one.\n\n"
    )
    out += "".join(f"- {line}\n" for line in bench.versions)
    for heading, lines in (("Missed", missed_lines(bench)), ("Faults", fault_lines(bench))):
        if lines:
            out += f"\n## {heading}\n\n" + "".join(
                f"- {line.partition(': ')[2]}\n" for line in lines
            )
    out += "\n"
    if plot is not None:
        out += f"![Patch bytes against accuracy]({plot})\n\n"
    for table in build_tables(bench):
        out += tables.markdown(table)
    return out.rstrip("\n") + "\n"
