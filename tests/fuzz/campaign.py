"""Fuzzes everything that reads what others wrote: `./run fuzz`, with sanitizers.

Each harness is a program of this folder: fuzz_*.c with clang's libFuzzer, AddressSanitizer and
UndefinedBehaviorSanitizer, fuzz_*.py by itself. It begins with seeds and with the inputs in
corpus/, and runs in one process on each processor: first led by coverage, then, with --blind, on
mutations of what was found that nobody watches, which is faster. What came of it is printed, and
added to the table of --out. A finding is left as a file, and its name printed. Exit status: 0; 1 if
something was found, or a harness came too seldom past what stands in front of what it is for; 2 if
called wrongly.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import seeds

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
STRICT = ("-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# What a range coder compares tells nothing of its input, and watching it takes two thirds of
# the time.
WATCHED = (
    "-fsanitize=fuzzer-no-link",
    "-fno-sanitize-coverage=trace-cmp,trace-div,trace-gep,indirect-calls",
)
OPTIONS = ("-DTMD_TAKES_LEAN=1", "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")
# A harness that is about something else takes a quick digest instead of SHA-256.
QUICK_DIGEST = "-DTMD_SHA256_EXTERNAL=16"
DEVICE = (QUICK_DIGEST, "-DTMD_WRITE_BUFFER=128")
# The harnesses allocate nothing; libFuzzer's own blocks need not be kept long.
ASAN_OPTIONS = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:detect_leaks=0"
PATIENCE = 600.0  # seconds that a process may take to end after it was asked to


@dataclass(frozen=True)
class Harness:
    """A program of this folder, and what it counts besides its runs."""

    name: str
    reached: str
    whole: str
    reached_min: float  # of all runs
    seeds: Callable[[Path, int], None]  # write some into a folder
    input_max: int = 96
    rooms: tuple[str, ...] = ("core",)  # of the C; none: it is Python
    options: tuple[str, ...] = ()
    makes_patches: bool = False  # with the encoder

    @property
    def is_c(self) -> bool:
        return bool(self.rooms)


HARNESSES = {
    h.name: h
    for h in (
        Harness("fuzz_patch", "came to the body of the patch", "rebuilt a whole target", 0.9,
                seeds.patches, input_max=300, options=(QUICK_DIGEST,)),
        Harness("fuzz_head", "had a head that is taken", "passed all guardrails", 0.9,
                seeds.heads, options=(QUICK_DIGEST,)),
        Harness("fuzz_store", "had a record that holds", "had a model of a record active", 0.9,
                seeds.stores, rooms=("core", "store"), options=DEVICE, makes_patches=True),
        Harness("fuzz_smp", "had a piece of a patch taken", "had a patch applied", 0.9,
                seeds.requests, rooms=("core", "store", "smp"), options=DEVICE,
                makes_patches=True),
        Harness("fuzz_models", "came past the file's header", "were taken as a model", 0.9,
                seeds.none, rooms=()),
        Harness("fuzz_patches", "came past the patch's head", "were applied", 0.9,
                seeds.none, rooms=()),
    )
}  # fmt: skip
BODY = HARNESSES["fuzz_patch"]
HEAD = HARNESSES["fuzz_head"]


@dataclass(frozen=True)
class Totals:
    runs: int
    reached: int
    whole: int


@dataclass(frozen=True)
class Row:
    """One line of the table: what came of a harness."""

    harness: str
    mutations: str
    totals: Totals
    seconds: float
    jobs: int
    seed: int
    command: str

    def text(self) -> str:
        t = self.totals
        cells = (
            self.harness, self.mutations, f"{t.runs:,}", f"{t.reached:,}",
            f"{t.reached / t.runs:.1%}", f"{t.whole:,}", "0", f"{self.seconds:,.0f}",
            str(self.jobs), str(self.seed), f"`{self.command}`",
        )  # fmt: skip
        return "| " + " | ".join(cells) + " |"


TABLE = (
    "| harness | mutations | executions | past the header | share | to the end | failed | seconds "
    "| processes | first seed | command |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


# ---- building ----


def build(folder: Path, device: Path = ROOT / "zephyr_module", harness: Harness = BODY) -> Path:
    """The harness with the code under test, led by coverage."""
    return _build(folder, device, harness, drive=False)


def build_drive(
    folder: Path,
    device: Path = ROOT / "zephyr_module",
    harness: Harness = BODY,
    flags: tuple[str, ...] = SANITIZERS,
) -> Path:
    """The same with drive.c in front of it instead of libFuzzer."""
    return _build(folder, device, harness, drive=True, flags=flags)


def _build(
    folder: Path,
    device: Path,
    harness: Harness,
    *,
    drive: bool,
    flags: tuple[str, ...] = SANITIZERS,
) -> Path:
    """Harness and encoder are not watched: they are not what is looked for paths in."""
    native = ROOT / "codegen" / "native"
    under_test = [path for room in harness.rooms for path in sorted((device / room).glob("*.c"))]
    others = [FOLDER / f"{harness.name}.c"]
    if harness.makes_patches:
        others += sorted(native.glob("*.c"))
    if drive:
        others.append(FOLDER / "drive.c")
    command = (
        "clang", *STRICT, *OPTIONS, *harness.options, *flags, "-D_POSIX_C_SOURCE=200809L",
        f"-I{device / 'include'}", f"-I{device}", f"-I{native}",
    )  # fmt: skip
    objects = folder / f"{harness.name}-objects{'-drive' if drive else ''}"
    objects.mkdir(parents=True)

    def compiled(source: Path) -> Path:
        watched = WATCHED if source in under_test and not drive else ()
        built = objects / f"{source.parent.name}-{source.stem}.o"
        subprocess.run([*command, *watched, "-c", str(source), "-o", str(built)], check=True)
        return built

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        built = list(pool.map(compiled, (*under_test, *others)))
    program = folder / f"{harness.name}{'-drive' if drive else ''}"
    fuzzer = () if drive else ("-fsanitize=fuzzer",)
    linked = ["clang", *flags, *fuzzer, *map(str, built), "-lm", "-o", str(program)]
    subprocess.run(linked, check=True)
    return program


# ---- inputs that are kept ----


def corpus_file(harness: Harness) -> Path:
    return FOLDER / "corpus" / f"{harness.name}.txt"


def unpack(harness: Harness, folder: Path) -> None:
    """The committed inputs of a harness, one in a line, as files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if corpus_file(harness).is_file():
        for i, line in enumerate(corpus_file(harness).read_text().split()):
            (folder / f"kept-{i:05}").write_bytes(bytes.fromhex(line))


def keep(harness: Harness, program: Path, folders: Iterable[Path], scratch: Path) -> None:
    """Replace the committed inputs by few that together come everywhere that all of these come."""
    scratch.mkdir()
    command = [str(program), "-merge=1", "-use_counters=0", f"-max_len={harness.input_max}"]
    command += map(str, (scratch, *folders))
    subprocess.run(command, check=True, capture_output=True, env=_environment())
    kept = sorted({path.read_bytes() for path in scratch.iterdir()}, key=lambda b: (len(b), b))
    corpus_file(harness).parent.mkdir(exist_ok=True)
    corpus_file(harness).write_text("".join(f"{data.hex()}\n" for data in kept if data))


# ---- running ----


def _environment() -> dict[str, str]:
    return {**os.environ, "ASAN_OPTIONS": ASAN_OPTIONS}


def _run(
    commands: list[list[str]], folder: Path, runs: int, seconds: float, name: str
) -> Totals | None:
    """All of these at a time. None if one found something. After `seconds` (0: never) each is asked
    to end."""
    started = shown = time.monotonic()
    logs = [folder / f"{name}-{job}.log" for job in range(len(commands))]
    processes = []
    for command, log in zip(commands, logs, strict=True):
        with log.open("wb") as out:
            processes.append(
                subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=_environment())
            )
    asked = False
    while any(p.poll() is None for p in processes):
        time.sleep(0.2)
        now = time.monotonic()
        if seconds > 0 and now - started >= seconds and not asked:
            asked = True
            for process in processes:
                process.send_signal(signal.SIGUSR1)
        if asked and now - started >= seconds + PATIENCE:
            for process in processes:
                process.kill()
        if now - shown >= 30:
            shown = now
            done = sum(_done(log) for log in logs)
            print(f"{name}: {now - started:6.0f} s  {done:,} of {runs:,}", file=sys.stderr)
    texts = [log.read_text(errors="replace") for log in logs]
    if any(p.returncode != 0 for p in processes):
        for process, text in zip(processes, texts, strict=True):
            if process.returncode != 0:
                print("\n".join(text.splitlines()[-40:]), file=sys.stderr)
        return None
    found = [re.search(r"^fuzzed (\d+) reached (\d+) whole (\d+)", t, re.MULTILINE) for t in texts]
    numbers = [tuple(int(n) for n in match.groups()) for match in found if match]
    if len(numbers) != len(processes):
        print(f"{name}: a process ended without its counts", file=sys.stderr)
        return None
    return Totals(*(sum(column) for column in zip(*numbers, strict=True)))


def _done(log: Path) -> int:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        counts = re.findall(rb"^#(\d+)", file.read(), re.MULTILINE)
    return int(counts[-1]) if counts else 0


Stage = Callable[[Harness, Path, Path, int, int, int, float], Totals | None]


def guided(
    harness: Harness, program: Path, folder: Path, runs: int, seed: int, jobs: int, seconds: float
) -> Totals | None:
    """Led by coverage, or, if it is Python, by itself."""
    commands: list[list[str]] = []
    for job in range(jobs):
        part = -(-runs // jobs)
        if not harness.is_c:
            finding = str(Path.cwd() / f"fuzz-{harness.name}-{seed + job}")
            commands.append([sys.executable, str(program), str(part), str(seed + job), finding])
            continue
        corpus = folder / f"corpus-{job}"
        corpus.mkdir()
        commands.append(
            [str(program), str(corpus), str(folder / "seeds"), f"-runs={part}",
             f"-seed={seed + job}", f"-max_len={harness.input_max}",
             f"-artifact_prefix={Path.cwd()}/fuzz-", "-print_final_stats=0", "-timeout=10",
             "-rss_limit_mb=2048", f"-max_total_time={int(seconds)}"]
        )  # fmt: skip
    return _run(commands, folder, runs, 0 if harness.is_c else seconds, f"{harness.name} guided")


def blind(
    harness: Harness, drive: Path, folder: Path, runs: int, seed: int, jobs: int, seconds: float
) -> Totals | None:
    """On mutations of all that was found, unwatched."""
    corpora = [str(path) for path in sorted(folder.glob("corpus-*")) if path.is_dir()]
    commands = [
        [str(drive), str(-(-runs // jobs)), str(seed + job), str(harness.input_max),
         str(Path.cwd() / f"fuzz-{harness.name}-{seed + job}"), str(folder / "seeds"), *corpora]
        for job in range(jobs)
    ]  # fmt: skip
    return _run(commands, folder, runs, seconds, f"{harness.name} blind")


# ---- the table ----


def totals_of(rows: Iterable[str]) -> dict[str, int]:
    """Executions of each harness, of rows of the table."""
    sums: dict[str, int] = {}
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")]
        sums[cells[1]] = sums.get(cells[1], 0) + int(cells[3].replace(",", ""))
    return sums


def report(rows: list[str]) -> str:
    clang = subprocess.run(["clang", "--version"], capture_output=True, text=True).stdout
    sums = totals_of(rows)
    lines = [
        "# Fuzzing",
        "",
        f"Written by `./run fuzz`, the last row on {datetime.date.today().isoformat()}: C with "
        f"AddressSanitizer and UndefinedBehaviorSanitizer, {clang.splitlines()[0] if clang else ''}"
        f", {platform.machine()}; Python {platform.python_version()}. An execution is one input "
        "through one harness. `guided`: libFuzzer, led by coverage (Python: the harness's own "
        "mutations). `blind`: mutations of what libFuzzer had found, by tests/fuzz/drive.c.",
        "",
        *TABLE,
        *rows,
        "",
        f"Together {sum(sums.values()):,} executions:",
        "",
        *(f"- {name}: {n:,}" for name, n in sums.items()),
        "",
        "What is counted as past the header, and to the end:",
        "",
        *(
            f"- {name}: {HARNESSES[name].reached}; {HARNESSES[name].whole}"
            for name in sums
            if name in HARNESSES
        ),
        "",
    ]
    return "\n".join(lines)


def rows_in(file: Path | None) -> list[str]:
    """The rows of a table that was written before; none if there is no such file."""
    if file is None or not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if re.match(r"\| fuzz_\w+ \|", line)]


# ---- the command ----


def fuzz(
    folder: Path, harness: Harness, given: argparse.Namespace, command: str
) -> list[Row] | None:
    """Build and run one harness. None if it found something."""
    folder.mkdir()
    program = build(folder, harness=harness) if harness.is_c else FOLDER / f"{harness.name}.py"
    if harness.is_c:
        (folder / "seeds").mkdir()
        harness.seeds(folder / "seeds", given.seed)
        unpack(harness, folder / "seeds")
    stages: list[tuple[str, Stage, Path, int]] = [("guided", guided, program, given.runs)]
    if given.blind > 0 and harness.is_c:
        stages.append(("blind", blind, build_drive(folder, harness=harness), given.blind))
    rows = []
    for mutations, stage, of, runs in stages:
        started = time.monotonic()
        totals = stage(harness, of, folder, runs, given.seed, given.jobs, given.seconds)
        if totals is None:
            return None
        seconds = time.monotonic() - started
        rows.append(Row(harness.name, mutations, totals, seconds, given.jobs, given.seed, command))
        share = totals.reached / max(1, totals.runs)
        print(
            f"{harness.name}, {mutations}: {totals.runs:,} executions in {seconds:,.0f} s, "
            f"{share:.1%} {harness.reached}, {totals.whole:,} {harness.whole}",
            flush=True,
        )
    if given.keep and harness.is_c:
        keep(harness, program, [folder / "seeds", *folder.glob("corpus-*")], folder / "merged")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__)
    parser.add_argument("--harness", action="append", choices=sorted(HARNESSES), help="one of them")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions each (1,000,000)")
    parser.add_argument("--blind", type=int, default=0, help="unwatched ones after these (0)")
    parser.add_argument("--seconds", type=float, default=0, help="at most, each (0: no bound)")
    parser.add_argument("--seed", type=int, default=1, help="of the first process (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--keep", action="store_true", help="renew the inputs in corpus/")
    parser.add_argument("--out", type=Path, help="Markdown file whose table the rows are added to")
    given = parser.parse_args()
    if shutil.which("clang") is None:
        print("fuzz: no clang; sudo apt install clang libclang-rt-14-dev", file=sys.stderr)
        return 1
    words = [word for word in sys.argv[1:] if not word.startswith("--out")]
    if "--out" in sys.argv:
        words.remove(str(given.out))
    command = " ".join(["./run fuzz", *words])
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for harness in (HARNESSES[n] for n in given.harness or HARNESSES):
            try:
                rows = fuzz(Path(name) / harness.name, harness, given, command)
            except subprocess.CalledProcessError:
                print(f"fuzz: {harness.name} does not compile; libclang-rt-14-dev may be missing",
                      file=sys.stderr)  # fmt: skip
                return 1
            if rows is None:
                print("fuzz: something was found; the input is in a file fuzz-* here",
                      file=sys.stderr)  # fmt: skip
                return 1
            found += rows
            if given.out is not None:  # one by one, so that none is lost
                table = [*rows_in(given.out), *(row.text() for row in rows)]
                given.out.write_text(report(table), encoding="utf-8")
    print(report([row.text() for row in found]))
    for row in found:
        harness = HARNESSES[row.harness]
        if row.totals.reached < harness.reached_min * row.totals.runs:
            print(f"fuzz: too few of {harness.name} {harness.reached}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
