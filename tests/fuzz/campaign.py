"""Fuzzes the decoders: `./run fuzz [--runs N]`, with libFuzzer, AddressSanitizer and UBSan.

Builds tests/fuzz/fuzz_patch.c with clang, makes seeds (patches of small random pairs), runs one
process on each processor, and says how often the decoder ran and how often it came to the body of
the patch. A finding is left as a file, and its name printed. Exit status: 0; 1 if something was
found, or the body was reached too seldom; 2 if called wrongly.
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

from tinymldelta.delta.hints import without_ranges  # noqa: E402
from tinymldelta.native import encode_body  # noqa: E402

SOURCES = ("body", "digest", "format1", "format2", "guard", "patch")
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
BODIES_MIN = 0.9  # of all runs


@dataclass(frozen=True)
class Totals:
    runs: int
    bodies: int
    rebuilt: int


def build(folder: Path, device: Path = ROOT / "zephyr_module") -> Path:
    """The harness with the core under test."""
    program = folder / "fuzz_patch"
    core = [str(device / "core" / f"{name}.c") for name in SOURCES]
    include = f"-I{device / 'include'}"
    harness = str(ROOT / "tests" / "fuzz" / "fuzz_patch.c")
    subprocess.run(["clang", *FLAGS, include, harness, *core, "-o", program], check=True)
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
    found = [re.search(r"fuzzed (\d+) bodies (\d+) rebuilt (\d+)", text) for text in logs]
    numbers = [tuple(int(n) for n in match.groups()) for match in found if match]
    return Totals(*(sum(column) for column in zip(*numbers, strict=True)))


def _done(log: Path) -> int:
    counts = re.findall(rb"^#(\d+)\s", log.read_bytes(), re.MULTILINE)
    return int(counts[-1]) if counts else 0


def report(totals: Totals, seconds: float, seed: int, jobs: int, command: str) -> str:
    clang = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True)
    share = totals.bodies / totals.runs
    return "\n".join(
        [
            "# Fuzzing of the decoders",
            "",
            f"Written by `{command}` on {datetime.date.today().isoformat()}:",
            "tests/fuzz/fuzz_patch.c, under AddressSanitizer and UndefinedBehaviorSanitizer.",
            "",
            f"- executions: {totals.runs:,}",
            f"- of these came to the body of the patch: {totals.bodies:,} ({share:.1%})",
            f"- rebuilt a whole target: {totals.rebuilt:,} ({totals.rebuilt / totals.runs:.1%})",
            "- failed: 0",
            f"- {seconds:,.0f} seconds, {jobs} processes, first seed {seed}",
            f"- {clang.stdout.splitlines()[0]}, {platform.machine()}",
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run fuzz", description="Fuzzes the decoders.")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions (1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first process (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    if shutil.which("clang") is None:
        print("fuzz: no clang; sudo apt install clang libclang-rt-14-dev", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            program = build(folder)
        except subprocess.CalledProcessError:
            print("fuzz: the harness does not compile; libclang-rt-14-dev may be missing",
                  file=sys.stderr)  # fmt: skip
            return 1
        write_seeds(folder / "seeds", given.seed)
        started = time.monotonic()
        totals = run(program, folder, given.runs, given.seed, given.jobs)
        seconds = time.monotonic() - started
    if totals is None:
        print("fuzz: something was found; the input is in a file fuzz-* here", file=sys.stderr)
        return 1
    text = report(totals, seconds, given.seed, given.jobs, f"./run fuzz --runs {given.runs}")
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    if totals.bodies < BODIES_MIN * totals.runs:
        print("fuzz: the body was reached too seldom", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
