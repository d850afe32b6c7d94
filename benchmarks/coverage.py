"""How much of what runs on a device the C tests and the fuzzers' corpora reach: `./run coverage`.

    python benchmarks/coverage.py [--out benchmarks/coverage.md] [--missing] [--limits]

Builds core, store and smp with clang's source-based coverage in every configuration that
tests/core/CMakeLists.txt has, runs all its tests, and the harnesses of tests/fuzz on their
committed inputs. A line counts as reached if any configuration reaches it; of each condition, both
outcomes count. What a configuration compiles to nothing counts in those where it is something.
benchmarks/coverage.txt lists what is left out, each with the reason. --missing lists what is not
reached; --limits asks for 98 % of lines and 95 % of branches. Exit status: 0; 1 if a test failed, a
limit is missed, or something is left out that is reached.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEVICE = ROOT / "zephyr_module"
ROOMS = ("core", "store", "smp")
EXCLUSIONS = ROOT / "benchmarks" / "coverage.txt"
LINES_MIN, BRANCHES_MIN = 0.98, 0.95
FLAGS = ("-fprofile-instr-generate", "-fcoverage-mapping")

# The encoder on the PC includes the decoder's models: only what is compiled for a device counts.
LAUNCHER = f"""#!/bin/sh
for argument; do
  case "$argument" in
    */zephyr_module/core/*.c|*/zephyr_module/store/*.c|*/zephyr_module/smp/*.c)
      exec "$@" {" ".join(FLAGS)};;
  esac
done
exec "$@"
"""

sys.path[:0] = [str(ROOT / "tests" / "fuzz")]


@dataclass
class Reached:
    """What of one file was reached. lines: by number; branches: by line, column and outcome."""

    lines: dict[int, bool] = field(default_factory=dict)
    branches: dict[tuple[int, int, bool], bool] = field(default_factory=dict)

    def share(self) -> tuple[int, int, int, int]:
        """Reached lines, all lines, reached branches, all branches."""
        return (
            sum(self.lines.values()),
            len(self.lines),
            sum(self.branches.values()),
            len(self.branches),
        )


@dataclass(frozen=True)
class Exclusion:
    """path: from zephyr_module; text: how the line begins, or the condition; of: line, true or
    false."""

    path: str
    of: str
    text: str
    reason: str


class CoverageError(Exception):
    """What could not be measured."""


def tool(name: str) -> str:
    """llvm-cov and llvm-profdata come with a number where they are clang's of a distribution."""
    found = shutil.which(name)
    for version in range(30, 11, -1):
        found = found or shutil.which(f"{name}-{version}")
    if found is None:
        raise CoverageError(f"no {name}: apt install clang llvm")
    return found


def _run(*command: object, folder: Path = ROOT, **variables: str) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env={**os.environ, **variables}
    )
    if done.returncode != 0:
        raise CoverageError(f"{' '.join(words)}:\n{done.stdout}{done.stderr}")
    return done.stdout


# ---- building and running ----


def run_tests(folder: Path) -> list[Path]:
    """All tests of tests/core. Returns their programs; profiles are in folder/profiles."""
    launcher = folder / "launcher"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    build = folder / "build"
    _run(
        "cmake", "-S", ROOT, "-B", build, "-DCMAKE_C_COMPILER=clang",
        f"-DCMAKE_C_COMPILER_LAUNCHER={launcher}",
        f"-DCMAKE_EXE_LINKER_FLAGS={FLAGS[0]}",
    )  # fmt: skip
    jobs = str(os.cpu_count() or 1)
    _run("cmake", "--build", build, "--parallel", jobs)
    profile = folder / "profiles" / "%m-%p.profraw"
    _run(
        "ctest", "--test-dir", build, "--output-on-failure", "--parallel", jobs,
        LLVM_PROFILE_FILE=str(profile),
    )  # fmt: skip
    return sorted(p for p in (build / "tests" / "core").glob("test_*") if os.access(p, os.X_OK))


def run_corpora(folder: Path) -> list[Path]:
    """Each harness on the inputs in tests/fuzz/corpus. Returns the programs."""
    import campaign

    programs = []
    for harness in campaign.HARNESSES.values():
        if not harness.is_c or not campaign.corpus_file(harness).is_file():
            continue
        room = folder / harness.name
        program = campaign.build_drive(room, harness=harness, flags=FLAGS)
        campaign.unpack(harness, room / "inputs")
        _run(
            program, 0, 1, 4096, room / "finding", room / "inputs",
            LLVM_PROFILE_FILE=str(folder / "profiles" / "%m-%p.profraw"),
        )  # fmt: skip
        programs.append(program)
    return programs


# ---- what was reached ----

_LINE = re.compile(r"^ *(\d+)\| *([0-9.]+[kMGTE]?)?\|")
_BRANCH = re.compile(r"^ *\| *\|? *Branch \((\d+):(\d+)\): \[(.*)\]")


def read_show(text: str, files: dict[str, Reached]) -> None:
    """Add what `llvm-cov show` says. Folded conditions are constants of this configuration."""
    reached = Reached()
    for line in text.splitlines():
        if line.endswith(".c:") or line.endswith(".h:"):
            path = Path(line[:-1])
            name = str(path.relative_to(DEVICE)) if path.is_relative_to(DEVICE) else str(path)
            reached = files.setdefault(name, Reached())
        elif (match := _LINE.match(line)) is not None:
            # A line of the preprocessor is none of the code between.
            if match[2] is not None and not line[match.end() :].lstrip().startswith("#"):
                number = int(match[1])
                reached.lines[number] = reached.lines.get(number, False) or match[2] != "0"
        elif (match := _BRANCH.match(line)) is not None:
            counts = re.findall(r"(True|False): ([^,]+)", match[3])
            for outcome, count in counts:
                key = (int(match[1]), int(match[2]), outcome == "True")
                reached.branches[key] = reached.branches.get(key, False) or count != "0"


def measure(folder: Path) -> dict[str, Reached]:
    """By file, as a path from zephyr_module."""
    (folder / "profiles").mkdir(parents=True)
    programs = [*run_tests(folder), *run_corpora(folder)]
    merged = folder / "all.profdata"
    raw = sorted((folder / "profiles").glob("*.profraw"))
    _run(tool("llvm-profdata"), "merge", "-sparse", *raw, "-o", merged)
    files: dict[str, Reached] = {}
    sources = [DEVICE / room for room in ROOMS]
    for program in programs:
        if b"__llvm_covmap" not in program.read_bytes():
            continue  # it tests none of it
        text = _run(
            tool("llvm-cov"), "show", program, f"-instr-profile={merged}",
            "-show-branches=count", "-show-instantiations=false", "-show-expansions=false",
            *sources,
        )  # fmt: skip
        read_show(text, files)
    return {
        name: files[name]
        for name in sorted(files)
        if name.split("/")[0] in ROOMS and files[name].lines
    }


# ---- what is left out ----


def read_exclusions(file: Path = EXCLUSIONS) -> tuple[Exclusion, ...]:
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(" :: ")]
            found.append(Exclusion(*cells))
    return tuple(found)


def leave_out(files: dict[str, Reached], exclusions: Iterable[Exclusion]) -> list[str]:
    """Take them out of `files`. Returns what is wrong with them: found nowhere, or reached."""
    wrong = []
    for of in exclusions:
        reached = files.get(of.path, Reached())
        source = DEVICE / of.path
        lines = source.read_text(encoding="utf-8").splitlines() if source.is_file() else []
        taken = 0
        for number in [n for n, hit in reached.lines.items() if not hit]:
            if of.of == "line" and lines[number - 1].strip() == of.text:
                del reached.lines[number]
                taken += 1
                for key in [k for k in reached.branches if k[0] == number]:
                    del reached.branches[key]
        for key in [k for k, hit in reached.branches.items() if not hit]:
            at = lines[key[0] - 1][key[1] - 1 :]
            if of.of == str(key[2]).lower() and at.startswith(of.text):
                del reached.branches[key]
                taken += 1
        if taken == 0:
            wrong.append(f"{of.path}: '{of.text}' ({of.of}) is reached, or there is no such line")
    return wrong


# ---- the report ----


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def report(files: dict[str, Reached], exclusions: tuple[Exclusion, ...]) -> str:
    lines = [
        "# What tests and corpora reach of the C",
        "",
        "Written by `./run coverage`: core, store and smp in all configurations of tests/core,",
        "with all its tests, and with the committed inputs of tests/fuzz. A condition counts",
        "twice, once for each outcome.",
        "",
        "| file | lines | reached | branches | reached |",
        "|---|---|---|---|---|",
    ]
    sums = [0, 0, 0, 0]
    for name, reached in files.items():
        share = reached.share()
        sums = [a + b for a, b in zip(sums, share, strict=True)]
        lines.append(
            f"| {name} | {share[1]} | {_percent(share[0], share[1])} "
            f"| {share[3]} | {_percent(share[2], share[3])} |"
        )
    lines += [
        f"| together | {sums[1]:,} | {_percent(sums[0], sums[1])} "
        f"| {sums[3]:,} | {_percent(sums[2], sums[3])} |",
        "",
        f"Left out: {len(exclusions)}",
        "",
        *(f"- {e.path}, `{e.text}`, {e.of}: {e.reason}" for e in exclusions),
        "",
    ]
    return "\n".join(lines)


def missing(files: dict[str, Reached]) -> list[str]:
    """Lines and outcomes that are not reached, with the source from there on."""
    found = []
    for name, reached in files.items():
        source = (DEVICE / name).read_text(encoding="utf-8").splitlines()
        for number in sorted(n for n, hit in reached.lines.items() if not hit):
            found.append(f"{name}:{number}: line: {source[number - 1].strip()}")
        for line, column, outcome in sorted(k for k, hit in reached.branches.items() if not hit):
            if reached.lines.get(line, False):
                text = source[line - 1][column - 1 :]
                found.append(f"{name}:{line}:{column}: {str(outcome).lower()}: {text}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run coverage", description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--missing", action="store_true", help="list what is not reached")
    parser.add_argument("--folder", type=Path, help="new folder to build in, which stays")
    parser.add_argument("--limits", action="store_true", help="fail below the limits")
    given = parser.parse_args()
    exclusions = read_exclusions()
    try:
        with tempfile.TemporaryDirectory() as name:
            files = measure(given.folder or Path(name))
    except CoverageError as error:
        print(f"coverage: {error}", file=sys.stderr)
        return 1
    wrong = leave_out(files, exclusions)
    text = report(files, exclusions)
    print(text)
    if given.missing:
        print("\n".join(missing(files)))
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    for line in wrong:
        print(f"coverage: {line}", file=sys.stderr)
    shares = [reached.share() for reached in files.values()]
    hit, lines, hit_branches, branches = (sum(column) for column in zip(*shares, strict=True))
    if given.limits and (hit < LINES_MIN * lines or hit_branches < BRANCHES_MIN * branches):
        print("coverage: below 98 % of lines or 95 % of branches", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
