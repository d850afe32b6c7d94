"""Fuzzes heads and decoders: `./run fuzz [--runs N]`, with libFuzzer, AddressSanitizer and UBSan.

Builds tests/fuzz/fuzz_patch.c and fuzz_head.c with clang, makes seeds (patches of small random
pairs, and metadata), runs one process on each processor, and says how often each ran and how often
it came to the body of the patch, or the head was taken. A finding is left as a file, and its name
printed. Exit status: 0; 1 if something was found, or one came too seldom as far as that; 2 if
called wrongly.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "codegen"), str(ROOT / "tests" / "codegen" / "differential")]

from cases2 import random_pair2  # noqa: E402

from tinymldelta.container.metadata import write_metadata  # noqa: E402
from tinymldelta.container.operators import OperatorNeed, encode_operators  # noqa: E402
from tinymldelta.container.patch import Metadata  # noqa: E402
from tinymldelta.delta.hints import without_ranges  # noqa: E402
from tinymldelta.native import encode_body  # noqa: E402
from tinymldelta.wire.constants import FORMAT_2  # noqa: E402

SOURCES = ("body", "digest", "format1", "format2", "guard", "metadata", "operators", "patch")
FLAGS = (
    "-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
    "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-DTMD_TAKES_LEAN=1",
    # What a range coder compares tells nothing of its input, and watching it takes two thirds of
    # the time.
    "-fno-sanitize-coverage=trace-cmp,trace-div,trace-gep,indirect-calls",
)  # fmt: skip
SEEDS = 1000
SEED_MAX = 400  # bytes of base and target
INPUT_MAX = 300


@dataclass(frozen=True)
class Harness:
    """A program of this folder, and what it counts besides its runs."""

    name: str
    reached: str
    whole: str
    reached_min: float  # of all runs


BODY = Harness("fuzz_patch", "came to the body of the patch", "rebuilt a whole target", 0.9)
HEAD = Harness("fuzz_head", "had a head that is taken", "passed all guardrails", 0.02)


@dataclass(frozen=True)
class Totals:
    runs: int
    reached: int
    whole: int


def build(folder: Path, device: Path = ROOT / "zephyr_module", harness: Harness = BODY) -> Path:
    """The harness with the core under test."""
    program = folder / harness.name
    core = [str(device / "core" / f"{name}.c") for name in SOURCES]
    include = (f"-I{device / 'include'}", f"-I{device}")
    source = str(ROOT / "tests" / "fuzz" / f"{harness.name}.c")
    subprocess.run(["clang", *FLAGS, *include, source, *core, "-o", program], check=True)
    return program


def write_seeds(folder: Path, seed: int) -> None:
    """Inputs of the harness that rebuild their target."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    for i in range(SEEDS):
        base, target, hints = random_pair2(rng)
        base += b"\0" * (len(base) % 2)
        target += b"\0" * (len(target) % 2)
        if len(base) + len(target) > SEED_MAX:
            continue
        lean = rng.random() < 0.25
        body = encode_body(base, target, without_ranges(hints) if lean else hints, lean=lean)
        how = int(lean) | rng.randrange(8) << 2
        head = bytes((how, len(base) // 2 - 1)) + base + bytes((len(target) // 2 - 1,))
        (folder / f"seed-{i:03}").write_bytes(head + body)


def write_head_seeds(folder: Path, seed: int) -> None:
    """Inputs of the other one, whose metadata are taken; of some, all guardrails hold."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    needs = [OperatorNeed(0, 3, 1), OperatorNeed(3, 6, 2), OperatorNeed(9, 5, 255)]
    for i in range(SEEDS):
        values = {
            "req_arena_bytes": rng.randrange(65537),
            "kernels": 1,
            "tensors": 1,
            "quantisation": rng.randrange(2),
            "model_name": rng.choice((b"any", b"other")),
            "operators": encode_operators(rng.sample(needs, rng.randrange(4))),
            "note": rng.randbytes(rng.randrange(1, 40)),
            "version_floor": rng.randrange(3),
        }
        chosen = {name: v for name, v in values.items() if rng.random() < 0.8}
        vendor = ((0x80 + rng.randrange(128), rng.randbytes(rng.randrange(9))),)
        how = rng.randrange(2) | rng.randrange(32) << 3
        tlvs = write_metadata(Metadata(**chosen, vendor=vendor), FORMAT_2)
        (folder / f"seed-{i:03}").write_bytes(bytes((how,)) + tlvs)


HARNESSES = {BODY: write_seeds, HEAD: write_head_seeds}


def run(program: Path, folder: Path, runs: int, seed: int, jobs: int) -> Totals | None:
    """All runs, in as many processes as jobs. None if one found something."""
    processes = []
    for job in range(jobs):
        corpus = folder / f"corpus-{job}"
        corpus.mkdir()
        log = (folder / f"log-{job}").open("wb")
        command = [
            program, corpus, folder / "seeds", f"-runs={-(-runs // jobs)}", f"-seed={seed + job}",
            f"-max_len={INPUT_MAX}", f"-artifact_prefix={Path.cwd()}/fuzz-", "-print_final_stats=0",
            "-timeout=10", "-rss_limit_mb=1024",
        ]  # fmt: skip
        processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
    started = time.monotonic()
    shown = started
    while any(p.poll() is None for p in processes):
        time.sleep(0.5)
        if time.monotonic() - shown >= 30:
            shown = time.monotonic()
            done = sum(_done(folder / f"log-{job}") for job in range(jobs))
            print(f"{shown - started:6.0f} s  {done:,} of {runs:,}", file=sys.stderr, flush=True)
    logs = [(folder / f"log-{job}").read_text(errors="replace") for job in range(jobs)]
    if any(p.returncode != 0 for p in processes):
        for process, text in zip(processes, logs, strict=True):
            if process.returncode != 0:
                print("\n".join(text.splitlines()[-40:]), file=sys.stderr)
        return None
    found = [re.search(r"fuzzed (\d+) \w+ (\d+) \w+ (\d+)", text) for text in logs]
    numbers = [tuple(int(n) for n in match.groups()) for match in found if match]
    return Totals(*(sum(column) for column in zip(*numbers, strict=True)))


def _done(log: Path) -> int:
    counts = re.findall(rb"^#(\d+)\s", log.read_bytes(), re.MULTILINE)
    return int(counts[-1]) if counts else 0


def report(found: list[tuple[Harness, Totals, float]], seed: int, jobs: int, command: str) -> str:
    clang = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True)
    lines = [
        "# Fuzzing",
        "",
        f"Written by `{command}` on {datetime.date.today().isoformat()},",
        f"under AddressSanitizer and UndefinedBehaviorSanitizer, in {jobs} processes, first seed "
        f"{seed}; {clang.stdout.splitlines()[0]}, {platform.machine()}.",
        "",
    ]
    for harness, totals, seconds in found:
        reached, whole = totals.reached / totals.runs, totals.whole / totals.runs
        lines += [
            f"## tests/fuzz/{harness.name}.c",
            "",
            f"- executions: {totals.runs:,}",
            f"- of these {harness.reached}: {totals.reached:,} ({reached:.1%})",
            f"- {harness.whole}: {totals.whole:,} ({whole:.1%})",
            "- failed: 0",
            f"- {seconds:,.0f} seconds",
            "",
        ]
    return "\n".join(lines)


def fuzz(folder: Path, harness: Harness, runs: int, seed: int, jobs: int) -> Totals | None:
    """Build and run one harness. None if it found something."""
    folder.mkdir()
    program = build(folder, harness=harness)
    HARNESSES[harness](folder / "seeds", seed)
    return run(program, folder, runs, seed, jobs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run fuzz", description="Fuzzes heads and decoders.")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions each (1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first process (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    if shutil.which("clang") is None:
        print("fuzz: no clang; sudo apt install clang libclang-rt-14-dev", file=sys.stderr)
        return 1
    found = []
    with tempfile.TemporaryDirectory() as name:
        for harness in HARNESSES:
            started = time.monotonic()
            try:
                totals = fuzz(
                    Path(name) / harness.name, harness, given.runs, given.seed, given.jobs
                )
            except subprocess.CalledProcessError:
                print("fuzz: the harness does not compile; libclang-rt-14-dev may be missing",
                      file=sys.stderr)  # fmt: skip
                return 1
            if totals is None:
                print("fuzz: something was found; the input is in a file fuzz-* here",
                      file=sys.stderr)  # fmt: skip
                return 1
            found.append((harness, totals, time.monotonic() - started))
    text = report(found, given.seed, given.jobs, f"./run fuzz --runs {given.runs}")
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    for harness, totals, _ in found:
        if totals.reached < harness.reached_min * totals.runs:
            print(f"fuzz: too few of {harness.name} {harness.reached}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
