"""The gate's result as a patch carries it: the metadata ACCURACY of SPEC.md."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tinymldelta.container.patch import pack
from tinymldelta.interpreter import LITERT, TENSORFLOW, TFLM
from tinymldelta.wire.constants import ACCURACY, ACCURACY_SIZE

LARGEST: Final = (2 - 2**-23) * 2.0**127  # value that a record can have, in binary32
# By their number in the record; what is not among them is 0.
_INTERPRETERS: Final = {1: LITERT, 2: TENSORFLOW, 3: TFLM}


class MetricKind(IntEnum):
    """What was measured. Of OWN, a function of the user's, larger values are better."""

    ACCURACY = 1
    MAE = 2
    AUC = 3
    OWN = 4


TITLES: Final = {
    MetricKind.ACCURACY: "accuracy",
    MetricKind.MAE: "mean absolute error",
    MetricKind.AUC: "AUC",
    MetricKind.OWN: "own metric",
}


def metric_value(kind: MetricKind, value: float) -> str:
    """A value of a metric, for people."""
    if kind is MetricKind.ACCURACY:
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if kind is MetricKind.AUC else f"{value:.6g}"


@dataclass(frozen=True, slots=True)
class AccuracyRecord:
    """What base and target reached, on how many samples, run by what ("" if it has no number).

    base, target: as binary32 has them; accuracy and AUC from 0 to 1. data: the first four bytes of
    the samples' SHA-256.
    """

    kind: MetricKind
    interpreter: str
    samples: int
    base: float
    target: float
    data: bytes

    def encode(self) -> bytes:
        number = next((n for n, name in _INTERPRETERS.items() if name == self.interpreter), 0)
        return pack(
            ACCURACY,
            {
                "metric": self.kind,
                "interpreter": number,
                "samples": self.samples,
                "base": struct.pack("<f", self.base),
                "target": struct.pack("<f", self.target),
                "data": self.data,
            },
        )

    @classmethod
    def decode(cls, value: bytes) -> AccuracyRecord:
        """Read a record. ValueError for what is none."""
        if len(value) != ACCURACY_SIZE:
            raise ValueError(f"{len(value)} bytes are no accuracy record, it has {ACCURACY_SIZE}")
        raw = {name: value[f.offset : f.offset + f.size] for name, f in ACCURACY.items()}
        kind, number, samples = (
            int.from_bytes(raw[name], "little") for name in ("metric", "interpreter", "samples")
        )
        base, target = (struct.unpack("<f", raw[name])[0] for name in ("base", "target"))
        most = 1.0 if kind in (MetricKind.ACCURACY, MetricKind.AUC) else math.inf
        least = -math.inf if kind == MetricKind.OWN else 0.0
        for reached in (base, target):
            if not math.isfinite(reached) or not least <= reached <= most:
                raise ValueError(f"{reached} is no value of the metric {kind}")
        if samples < 2:
            raise ValueError(f"{samples} samples are too few")
        return cls(
            MetricKind(kind), _INTERPRETERS.get(number, ""), samples, base, target, raw["data"]
        )

    def text(self) -> str:
        """In a clause, for people."""
        base, target = (metric_value(self.kind, value) for value in (self.base, self.target))
        run = f"run by {self.interpreter}, " if self.interpreter else ""
        return (
            f"{TITLES[self.kind]} {base} -> {target} on {self.samples} samples, "
            f"{run}data {self.data.hex()}"
        )
