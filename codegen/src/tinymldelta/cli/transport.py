"""The options that say how to reach a device over SMP, for `tmd push` and `tmd device`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tinymldelta.cli.console import Number
from tinymldelta.errors import Refusal
from tinymldelta.wire.constants import SMP_GROUP

if TYPE_CHECKING:
    from tinymldelta.smp.client import Link

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_UDP_PORT = 1337  # that of Zephyr's mcumgr


def missing_extra(error: ImportError) -> Refusal:
    """What to say if the libraries for SMP are not there."""
    return Refusal(
        error.name or "smpclient",
        f"cannot be imported: {error}",
        "pip install 'tinymldelta[push]'",
    )


@dataclass(frozen=True, slots=True)
class Transport:
    """How a device is reached: exactly one of port, udp and ble."""

    port: str | None
    baud: int
    udp: str | None
    ble: str | None
    group: int
    timeout: float
    model: str | None

    def _open(self) -> tuple[Any, str]:
        """The transport of smpclient, and the address that it connects to."""
        if self.port is not None:
            from smpclient.transport.serial import SMPSerialTransport

            return SMPSerialTransport(baudrate=self.baud), self.port
        if self.udp is not None:
            from tinymldelta.smp.udp import UdpTransport

            host, number = split_address(self.udp)
            return UdpTransport(number), host
        from smpclient.transport.ble import SMPBLETransport

        return SMPBLETransport(), str(self.ble)

    def run(self, work: Callable[[Link], Coroutine[Any, Any, T]]) -> T:
        """Connect, do the work, and disconnect."""
        try:
            from tinymldelta.smp.client import connect

            transport, address = self._open()
        except ImportError as error:
            raise missing_extra(error) from error

        async def all_of_it() -> T:
            async with connect(transport, address, self.group, self.timeout) as link:
                return await work(link)

        return asyncio.run(all_of_it())


def split_address(address: str) -> tuple[str, int]:
    """HOST or HOST:PORT; an IPv6 address with a port is in brackets."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        port = rest.removeprefix(":")
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
    else:
        host, port = address, ""
    if not host or (port and not (port.isdecimal() and int(port) <= 0xFFFF)):
        raise click.BadParameter(f"{address!r} is not HOST or HOST:PORT", param_hint="--udp")
    return host, int(port) if port else _UDP_PORT


def transport_options(command: F) -> F:
    """Adds the options; the command gets one `transport`."""

    @wraps(command)
    def take(context: click.Context, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name) for name in Transport.__slots__}
        if sum(values[name] is not None for name in ("port", "udp", "ble")) != 1:
            raise click.UsageError("say how to reach the device: one of --port, --udp and --ble")
        if values["udp"] is not None:
            split_address(values["udp"])
        return context.invoke(command, transport=Transport(**values), **kwargs)

    wrapped: Any = click.pass_context(take)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_OPTIONS = (
    click.option("--port", metavar="DEVICE", help="Serial port, such as /dev/ttyACM0."),
    click.option(
        "--baud", type=click.IntRange(1), default=115200, show_default=True, help="Its speed."
    ),
    click.option("--udp", metavar="HOST[:PORT]", help=f"Over UDP; port {_UDP_PORT} if not given."),
    click.option("--ble", metavar="NAME", help="Over Bluetooth LE: name or address."),
    click.option("--model", metavar="NAME", help="Which model of the firmware, if it has several."),
    click.option(
        "--group",
        type=Number(0xFFFF),
        default=SMP_GROUP,
        show_default=True,
        metavar="N",
        help="Number of the management group (CONFIG_TMD_SMP_GROUP_ID).",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0.01, 3600),
        default=2.5,
        show_default=True,
        metavar="S",
        help="Seconds without a reply after which a request is repeated.",
    ),
)
