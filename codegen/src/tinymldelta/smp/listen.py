"""Where a server is reached: UDP and a pseudo-terminal, in one loop, until a signal ends it."""

from __future__ import annotations

import os
import pty
import selectors
import signal
import socket
import tty
from collections.abc import Callable
from types import FrameType

from tinymldelta.errors import Refusal
from tinymldelta.smp.packet import LineReader, to_lines

_DATAGRAM_MAX = 65536
_READ_MAX = 4096

Answer = Callable[[bytes], bytes | None]


class Listener:
    """A context manager: signals end `run`, and all that was opened is closed with it.

    settle: called when replies are on their way, before the next request is looked at.
    """

    def __init__(self, answer: Answer, settle: Callable[[], None], packet_max: int) -> None:
        self._answer = answer
        self._settle = settle
        self._packet_max = packet_max
        self._selector = selectors.DefaultSelector()
        self._open: list[socket.socket] = []
        self._descriptors: list[int] = []
        self._stopped = False

    def __enter__(self) -> Listener:
        # A signal writes a byte here, so that it is seen between two requests and not within one.
        read, write = socket.socketpair()
        self._open += [read, write]
        write.setblocking(False)
        signal.set_wakeup_fd(write.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        self._selector.register(read, selectors.EVENT_READ, lambda: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for opened in self._open:
            opened.close()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True

    def udp(self, host: str, port: int) -> int:
        """Answer on this address; port 0 takes a free one. Returns the port."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            bound = socket.socket(family, kind, protocol)
            self._open.append(bound)
            bound.bind(address)
        except OSError as error:
            raise Refusal(
                f"{host}:{port}", f"cannot be listened on: {error.strerror}", "give another --udp"
            ) from error
        bound.setblocking(False)

        def ready() -> None:
            try:
                packet, peer = bound.recvfrom(_DATAGRAM_MAX)
            except OSError:  # the peer of an earlier reply is gone
                return
            reply = self._answer(packet)
            if reply is not None:
                try:
                    bound.sendto(reply, peer)
                except OSError:  # lost, as a packet may be
                    return

        self._selector.register(bound, selectors.EVENT_READ, ready)
        return int(bound.getsockname()[1])

    def terminal(self) -> str:
        """Answer on a new pseudo-terminal. Returns the path of its other end."""
        ours, theirs = pty.openpty()
        # Their end stays open here too: otherwise ours fails as soon as a client has left.
        self._descriptors += [ours, theirs]
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        reader = LineReader(self._packet_max)

        def ready() -> None:
            for packet in reader.feed(os.read(ours, _READ_MAX)):
                reply = self._answer(packet)
                if reply is not None:
                    try:
                        os.write(ours, to_lines(reply))
                    except BlockingIOError:  # nobody reads
                        return

        self._selector.register(ours, selectors.EVENT_READ, ready)
        return os.ttyname(theirs)

    def run(self) -> None:
        """Answer until SIGINT or SIGTERM."""
        while not self._stopped:
            for key, _ in self._selector.select():
                key.data()
                self._settle()
