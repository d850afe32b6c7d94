"""A simulated device that `tmd sim serve` runs in a process of its own, and a bad line to it."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TMD = (sys.executable, "-c", "from tinymldelta.cli.main import main; main()")


@dataclass(frozen=True)
class Firmware:
    """A contract, its model, and patches from there."""

    contract: Path
    base: Path
    target: Path
    patch: Path  # base to target, some thousand bytes of format 1
    small: Path  # the same in format 2, with a note and labels
    onwards: Path  # target to base
    too_large: Path  # to a model that needs more arena
    elsewhere: Path  # from target to that model
    low: Path  # base to target, of a version that is not taken


class Served:
    """`tmd sim serve` on a device's file, on UDP and a pseudo-terminal."""

    def __init__(self, flash: Path) -> None:
        self.flash = flash
        self.udp = 0
        self.terminal = ""
        self.start()

    def start(self) -> None:
        # The same UDP port each time, as a device has.
        self._process = subprocess.Popen(
            [*TMD, "sim", "serve", str(self.flash), "--udp", f"127.0.0.1:{self.udp}", "--pty"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        where = dict(self._process.stdout.readline().split() for _ in range(2))
        self.udp = int(where["udp"].rpartition(":")[2])
        self.terminal = where["terminal"]

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it as a person does; it exits with 0. Returns what it warned of."""
        self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=20)
        assert self._process.returncode == 0, errors
        assert "Traceback" not in errors
        return errors

    def kill(self) -> None:
        """The power fails."""
        self._process.kill()
        self._process.communicate()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def over_udp(self) -> tuple[object, ...]:
        return ("--udp", f"127.0.0.1:{self.udp}")

    @property
    def over_serial(self) -> tuple[object, ...]:
        return ("--port", self.terminal)


class BadLine:
    """Passes datagrams on, both ways, losing and doubling some; `limit` requests, then none."""

    def __init__(self, port: int, loses: float = 0.0, doubles: float = 0.0) -> None:
        self.limit: int | None = None
        self.passed = 0
        self.lost = 0
        self.blocked = threading.Event()
        """Set when the limit has stopped a request."""
        self._random = random.Random(7)
        self._loses, self._doubles = loses, doubles
        self._near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._near.bind(("127.0.0.1", 0))
        self._far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._far.connect(("127.0.0.1", port))
        self._client: tuple[str, int] | None = None
        self._over = threading.Event()
        self._threads = [threading.Thread(target=t) for t in (self._requests, self._replies)]
        for s in (self._near, self._far):
            s.settimeout(0.1)
        for thread in self._threads:
            thread.start()

    @property
    def options(self) -> tuple[object, ...]:
        return ("--udp", f"127.0.0.1:{self._near.getsockname()[1]}", "--timeout", 0.25)

    def _copies(self) -> int:
        """How often a packet arrives."""
        chance = self._random.random()
        if chance < self._loses:
            self.lost += 1
            return 0
        return 2 if chance < self._loses + self._doubles else 1

    def _requests(self) -> None:
        while not self._over.is_set():
            try:
                packet, self._client = self._near.recvfrom(65536)
            except TimeoutError:
                continue
            if self.limit is not None and self.passed >= self.limit:
                self.blocked.set()
                continue
            self.passed += 1
            for _ in range(self._copies()):
                try:
                    self._far.send(packet)
                except ConnectionRefusedError:  # nobody is there just now
                    break

    def _replies(self) -> None:
        while not self._over.is_set():
            try:
                packet = self._far.recv(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
            for _ in range(self._copies()):
                assert self._client is not None
                self._near.sendto(packet, self._client)

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._near.close()
        self._far.close()


Serve = Callable[..., Served]
STAGED = ("--staging", 16384)


@contextmanager
def bad_line(port: int, loses: float = 0.0, doubles: float = 0.0) -> Iterator[BadLine]:
    line = BadLine(port, loses, doubles)
    try:
        yield line
    finally:
        line.close()
