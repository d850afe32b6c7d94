"""UDP on a port that the user names: smpclient's transport has 1337 unless it is told another."""

from __future__ import annotations

from smpclient.transport.udp import SMPUDPTransport


class UdpTransport(SMPUDPTransport):
    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def connect(self, address: str, timeout_s: float, port: int | None = None) -> None:
        await super().connect(address, timeout_s, port or self._port)
