"""Runs kept on disk: as slim.tsv, and one by one, so that what was done is not done again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import tinymldelta
from slimming.runs import TOOLS, Candidate, Run, Task
from slimming.ways import TITLES

# What runs depend on, beside the pair: the library's Python, its native part, and the bench's own.
_LIBRARY: Final = Path(tinymldelta.__file__).parent
_PARTS: Final = ("slim", "accuracy", "delta", "model", "container", "interpreter.py", "patching.py")
_OWN: Final = ("data.py", "ways.py", "runs.py")


# ---- one by one ----


def library_digest() -> str:
    """Of all code that a run's figures depend on."""
    digest = hashlib.sha256()
    files = [
        path
        for part in _PARTS
        for path in sorted((_LIBRARY / part).rglob("*.py")) or [_LIBRARY / part]
    ]
    files += sorted(_LIBRARY.glob("_native*")) + [Path(__file__).parent / name for name in _OWN]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Finished:
    """Runs that are done, of tasks on pairs in `folder`. library: digest of the code."""

    def __init__(self, folder: Path, library: str) -> None:
        self._folder, self._library = folder, library

    def get(self, task: Task) -> list[Run] | None:
        path = self._path(task)
        if not path.is_file():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        return [_from_json(run) for run in kept["runs"]] if kept["of"] == self._of(task) else None

    def put(self, task: Task, runs: Sequence[Run]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = {"of": self._of(task), "runs": [asdict(run) for run in runs]}
        self._path(task).write_text(json.dumps(kept), encoding="utf-8")

    def _path(self, task: Task) -> Path:
        budgets = "-".join(f"{budget:g}" for budget in task.budgets)
        return self._folder / f"{Path(task.folder).name}-{task.way}-{budgets}.json"

    def _of(self, task: Task) -> str:
        digest = hashlib.sha256(self._library.encode())
        for path in sorted(Path(task.folder).iterdir()):
            digest.update(path.read_bytes())
        return digest.hexdigest()


def _from_json(kept: dict[str, object]) -> Run:
    run = Run(**kept)  # type: ignore[arg-type]
    tools = {name: (sizes[0], sizes[1]) for name, sizes in run.tools.items()}
    path = tuple(Candidate(**one) for one in run.path)  # type: ignore[arg-type]
    return Run(**{**kept, "tools": tools, "path": path})  # type: ignore[arg-type]


# ---- all of them ----

_NUMBERS: Final = {"int": int, "float": float, "str": str}
_PLAIN: Final = [f for f in fields(Run) if f.name not in ("tools", "path")]
_EMPTY: Final = "-"


@dataclass(frozen=True)
class Bench:
    """All runs, and the lines that say with what they were made."""

    runs: Sequence[Run]
    versions: Sequence[str]


def render_tsv(bench: Bench) -> str:
    """Lines of versions with # in front, the names of the columns, a line for each run.

    -: there is none. *_ordinary, *_slimmed: a tool's patches. path: of each candidate patch bytes,
    drop and bound.
    """
    out = io.StringIO()
    for line in bench.versions:
        out.write(f"# {line}\n")
    table = csv.writer(out, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
    columns = [f.name for f in _PLAIN]
    table.writerow(
        [*columns, *(f"{t}_{of}" for t in TOOLS for of in ("ordinary", "slimmed")), "path"]
    )
    for run in bench.runs:
        row = [_said(getattr(run, name)) for name in columns]
        row += [_said(s) for t in TOOLS for s in run.tools.get(t, (None, None))]
        row.append(" ".join(f"{c.patch}/{_said(c.drop)}/{_said(c.bound)}" for c in run.path))
        table.writerow(row)
    return out.getvalue()


def _said(value: object) -> str:
    if value is None or value == "":
        return _EMPTY
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def read_tsv(text: str) -> Bench:
    """The other way round, with as many places as the file has."""
    versions = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    body = [line for line in text.splitlines() if not line.startswith("# ")]
    rows = csv.DictReader(body, delimiter="\t", quoting=csv.QUOTE_NONE)
    return Bench(tuple(_run_of(row) for row in rows), versions)


def _run_of(row: dict[str, str]) -> Run:
    values: dict[str, object] = {}
    for field in _PLAIN:
        said = row.get(field.name, _EMPTY)  # a record may be older than the field
        kind = str(field.type).removesuffix(" | None")
        nothing = "" if kind == "str" else None
        values[field.name] = nothing if said == _EMPTY else _NUMBERS[kind](said)
    tools = {
        t: (int(row[f"{t}_ordinary"]), int(row[f"{t}_slimmed"]))
        for t in TOOLS
        if row[f"{t}_ordinary"] != _EMPTY
    }
    path = []
    for one in row["path"].split():
        patch, drop, bound = one.split("/")
        path.append(Candidate(int(patch), float(drop), None if bound == _EMPTY else float(bound)))
    return Run(**values, tools=tools, path=tuple(path))  # type: ignore[arg-type]


def instead(recorded: Bench | None, anew: Sequence[Run]) -> list[Run]:
    """All runs, those that were done anew in place of what is recorded of them."""
    done = {(run.pair, run.way, run.budget) for run in anew}
    kept = recorded.runs if recorded else ()
    return [*anew, *(run for run in kept if (run.pair, run.way, run.budget) not in done)]


def in_order(runs: Iterable[Run], names: Sequence[str]) -> list[Run]:
    """By pair, way and budget, whichever was done first."""
    ways = list(TITLES)
    return sorted(runs, key=lambda r: (names.index(r.pair), ways.index(r.way), -r.budget))
