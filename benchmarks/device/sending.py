"""How long bytes are under way to a device. Formulas with their sources; the report shows both.

Only what the link itself takes: no losses, no repeats, and none of the management protocol's own
bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

# ---- serial line ----

UART_BAUD = 115_200
UART_BITS = 10  # a start bit, eight of data, a stop bit


def uart_seconds(size: int, baud: int = UART_BAUD) -> float:
    """8N1: ten bits a byte."""
    return size * UART_BITS / baud


# ---- Bluetooth LE ----

# Bluetooth Core Specification 5.x, vol. 6 part B: a packet of the LE 1M PHY is preamble 1, access
# address 4, header 2, payload up to 251 (data length extension) and CRC 3 bytes at 1 Mbit/s; the
# LE 2M PHY has a preamble of 2. Packets are 150 us apart (T_IFS), and each is answered, here by an
# empty one. Of the payload, L2CAP's header takes 4 bytes and ATT's (a write without response) 3: of
# an ATT MTU of 247, 244 are the application's. How often they come, and how many at once, is an
# assumption: phones ask for intervals of 15 ms and more, and stop after 4 to 7 packets.
BLE_PAYLOAD = 251
BLE_ATT_BYTES = 244
BLE_T_IFS = 150e-6
BLE_OVERHEAD = 9  # beside preamble and payload
BLE_INTERVAL = 30e-3  # seconds
BLE_PACKETS_FEW = 4  # a connection event, where a phone does not give more


def ble_exchange(payload: int, *, megabits: int = 1) -> float:
    """Seconds from the start of a data packet to that of the next one. payload: 0 to 251 bytes."""
    preamble = megabits

    def on_air(size: int) -> float:
        return (preamble + BLE_OVERHEAD + size) * 8 / (megabits * 1e6)

    return on_air(payload) + on_air(0) + 2 * BLE_T_IFS


def ble_packets_most() -> int:
    """Exchanges that fit a connection interval."""
    return int(BLE_INTERVAL / ble_exchange(BLE_PAYLOAD))


def ble_seconds(size: int, packets: int | None = None) -> float:
    """Over the LE 1M PHY, ATT MTU 247, a connection interval of 30 ms; packets: each interval has.

    The last interval counts as far as it is used.
    """
    each = packets or ble_packets_most()
    whole, rest = divmod(ceil(size / BLE_ATT_BYTES), each)
    return whole * BLE_INTERVAL + rest * ble_exchange(BLE_PAYLOAD)


def ble_radio_seconds(size: int) -> float:
    """What of it the radio is on, in packets that are full."""
    return ceil(size / BLE_ATT_BYTES) * ble_exchange(BLE_PAYLOAD)


# ---- LoRaWAN, EU868 ----


def lora_airtime(
    size: int, sf: int, *, bandwidth: int = 125_000, coding: int = 1, preamble: int = 8,
    crc: bool = True, header: bool = True,
) -> float:  # fmt: skip
    """Seconds on air of a packet of `size` bytes (Semtech AN1200.13; SX1276 data sheet, 4.1.1.7).

    coding: 1 to 4 for rates 4/5 to 4/8. Low data rate optimisation where a symbol takes more than
    16 ms.
    """
    symbol = 2**sf / bandwidth
    slow = int(symbol > 16e-3)
    bits = 8 * size - 4 * sf + 28 + 16 * int(crc) - 20 * int(not header)
    symbols = 8 + max(ceil(bits / (4 * (sf - 2 * slow))) * (coding + 4), 0)
    return (preamble + 4.25 + symbols) * symbol


# LoRaWAN Regional Parameters RP002, EU863-870: the most that a frame's application payload (N) has,
# without options: 51 bytes at DR0 (SF12), 222 at DR5 (SF7), in each case with 13 bytes around it. A
# downlink has no CRC of its payload. ETSI EN 300 220: 1 % of the time in 868.0 to 868.6 MHz, where
# the first receive window of a device is; 10 % in 869.4 to 869.65 MHz, where the second one is.
LORAWAN_AROUND = 13
LORAWAN_PAYLOAD = {7: 222, 12: 51}
LORAWAN_DUTY = 0.01
LORAWAN_DUTY_RX2 = 0.1


@dataclass(frozen=True)
class Lora:
    """frames; air: seconds on air; total: seconds until all is there, as the duty cycle has it."""

    frames: int
    air: float
    total: float


def lorawan(size: int, sf: int) -> Lora:
    """Downlinks of a LoRaWAN in EU868, at spreading factor 7 or 12 and 125 kHz."""
    most = LORAWAN_PAYLOAD[sf]
    whole, rest = divmod(size, most)
    air = whole * lora_airtime(most + LORAWAN_AROUND, sf, crc=False)
    last = lora_airtime((rest or most) + LORAWAN_AROUND, sf, crc=False)
    air += last if rest else 0.0
    frames = whole + (rest > 0)
    # The silence behind the last frame is not waited for.
    return Lora(frames, air, (air - last) / LORAWAN_DUTY + last)
