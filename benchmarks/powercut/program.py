"""Building the campaign's program, and running rows with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from powercut.rows import Row

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = REPOSITORY / "zephyr_module"
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


@dataclass
class Tally:
    """What came of a row; sums over rows."""

    cuts: int = 0
    seconds: int = 0
    faults: int = 0
    in_rows: int = 0
    boots: int = 0
    failures: int = 0
    operations: int = 0
    first: str = ""

    def add(self, other: Tally) -> None:
        for field in fields(self):
            if field.name not in ("first", "operations"):
                setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


@dataclass(frozen=True)
class Wear:
    """Erases and bytes written: of the update, by the bound, of writing the whole target."""

    erases: int
    bytes: int
    bound_erases: int
    bound_bytes: int
    copy_erases: int
    copy_bytes: int
    read: int  # bytes
    nanoseconds: int  # the least of some times on this machine


class BuildError(Exception):
    pass


def build(folder: Path, device: Path = DEVICE, flags: Sequence[str] = ("-O2", *STRICT)) -> Path:
    """Compile the campaign with the store of `device`."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        raise BuildError("no C compiler (apt install gcc)")
    sources = [
        *sorted((device / "core").glob("*.c")),
        *sorted((device / "store").glob("*.c")),
        *sorted((device / "ports" / "sim").glob("*.c")),
        *sorted((REPOSITORY / "benchmarks" / "powercut").glob("*.c")),
    ]
    program = folder / "campaign"
    include = [f"-I{device / 'include'}", f"-I{device / 'ports'}"]
    command = [compiler, "-std=c11", *flags, *include, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(done.stderr.strip().splitlines()[0] if done.stderr else "cc failed")
    return program


def _ask(program: Path, rows: Sequence[Row], *options: str) -> Iterator[str]:
    """One process answers rows, a line each."""
    with subprocess.Popen(
        [program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for row in rows:
            process.stdin.write(row.line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise RuntimeError(f"{row.text}: the program ended with {process.wait()}")
            yield answer.rstrip("\n")
        process.stdin.close()


def run(
    program: Path, rows: Sequence[Row], jobs: int, done: Callable[[Row, Tally], None]
) -> list[tuple[Row, Tally]]:
    """All rows, in `jobs` processes; `done` is called for each as it comes in."""
    waiting = list(reversed(rows))
    results: list[tuple[Row, Tally]] = []
    lock = threading.Lock()
    troubles: list[BaseException] = []

    def pull() -> Iterator[Row]:
        while True:
            with lock:
                if not waiting or troubles:
                    return
                row = waiting.pop()
            yield row

    def work() -> None:
        try:
            for row in pull():
                (answer,) = _ask(program, [row])
                numbers, _, first = answer.partition("\t")
                tally = Tally(*(int(n) for n in numbers.split()), first=first)
                with lock:
                    results.append((row, tally))
                    done(row, tally)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            troubles.append(error)

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    return results


def first_failure(program: Path, rows: Sequence[Row]) -> str | None:
    """What the first row that fails says, or None if none does. A crash is a failure."""
    answers = _ask(program, rows, "--stop")
    try:
        for row, answer in zip(rows, answers, strict=True):
            numbers, _, first = answer.partition("\t")
            if int(numbers.split()[5]) != 0:
                return f"{row.text}: {first}"
    except RuntimeError as error:
        return str(error)
    return None


def wear(program: Path, rows: Sequence[Row], times: int = 1) -> list[Wear]:
    answers = _ask(program, rows, "--wear", str(times))
    return [Wear(*(int(n) for n in answer.split())) for answer in answers]
