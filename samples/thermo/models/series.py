#!/usr/bin/env python3
"""The temperature series of the thermo sample, and what the device makes of readings.

    python series.py        write readings.csv beside this file

The series are synthetic: a lumped thermal model of a small oven, with a seed, no measurement. Two
ways of running the same oven:

* `bench_readings`, what the base model was trained on: proportional control, a load that changes
  slowly. The temperature wanders without corners.
* `production_readings`, what the device meets: a door that opens four times a minute lets a
  cold workpiece in. Sharp falls and slow recoveries, which the base model has never seen.

`readings.csv` holds the second one, with a fault near its end: the thermocouple works loose. Its
readings then jump about within the range that is normal here, so that no single reading is out of
the ordinary, but their course is.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
READINGS = HERE / "readings.csv"

# As in Kconfig and in src/window.h, which a test compares.
BASELINE = 240  # readings that the device learns mean and deviation from
WINDOW = 16  # readings that the autoencoder sees
CLIP = 4.0  # deviations that map to the ends of its input range
LIMIT = 0.5  # deviations of restoring error that are an anomaly

STEP = 1 / 16  # degrees Celsius: the resolution of the MCP9600's hot-junction register

Array = np.ndarray[Any, Any]


def _oven(power: float, temperature: float, disturbance: float) -> float:
    """The temperature one second later: heater, losses to a room of 25 degrees, disturbance."""
    return temperature + 0.02 * (power - 0.35 * (temperature - 25.0)) + disturbance


def _as_read(celsius: list[float], noise: float, rng: np.random.Generator) -> Array:
    noisy = np.asarray(celsius) + rng.normal(0.0, noise, len(celsius))
    return np.round(noisy / STEP) * STEP


def bench_readings(count: int, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    temperature, draught, celsius = 200.0, 0.0, []
    for second in range(count + 300):
        # The load swings with several slow periods at once, and a draught comes and goes.
        draught = 0.97 * draught + rng.normal(0.0, 0.004)
        load = 0.05 * np.sin(second / 11.0) + 0.06 * np.sin(second / 17.0 + 1.0)
        power = 61.25 + 1.5 * (200.0 - temperature)
        temperature = _oven(power, temperature, load + draught)
        celsius.append(temperature)
    return _as_read(celsius[300:], 0.05, rng)


def production_readings(count: int, seed: int = 2) -> Array:
    rng = np.random.default_rng(seed)
    temperature, celsius = 200.0, []
    next_door = 10
    for second in range(count + 300):
        power = 61.25 + 5.0 * (200.0 - temperature)
        disturbance = 0.0
        if next_door <= second < next_door + 2:
            disturbance = -rng.uniform(3.5, 4.5)
        elif second == next_door + 2:
            next_door += int(rng.integers(14, 18))
        temperature = _oven(power, temperature, disturbance)
        celsius.append(temperature)
    return _as_read(celsius[300:], 0.05, rng)


def recorded() -> tuple[Array, Array]:
    """Degrees Celsius and whether it is the fault, of the series that native_sim plays."""
    celsius = production_readings(600)
    fault = np.zeros(len(celsius), bool)
    fault[540:580] = True
    rng = np.random.default_rng(3)
    normal = celsius[~fault]
    loose = rng.uniform(normal.min(), normal.max(), fault.sum())
    celsius[fault] = np.round(loose / STEP) * STEP
    return celsius, fault


def read_csv(path: Path) -> tuple[Array, Array]:
    """The columns celsius and fault (0 where there is none) of a file of readings."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "celsius" not in rows[0]:
        raise ValueError(f"{path}: no column named celsius with readings")
    try:
        celsius = np.array([float(row["celsius"]) for row in rows])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: a reading is no number: {error}") from error
    return celsius, np.array([(row.get("fault") or "0") != "0" for row in rows])


def write_csv(path: Path, celsius: Array, fault: Array) -> None:
    lines = [f"{value:.4f},{int(bad)}" for value, bad in zip(celsius, fault, strict=True)]
    path.write_text("\n".join(["celsius,fault", *lines]) + "\n")


def baseline(celsius: Array) -> tuple[float, float]:
    """Mean and deviation of the first readings, as the device learns them."""
    first = celsius[:BASELINE]
    return float(first.mean()), float(first.std(ddof=1))


def windows(celsius: Array) -> Array:
    """All windows of readings as the autoencoder takes them: 0..1, oldest reading first."""
    mean, deviation = baseline(celsius)
    unit = (np.clip((celsius - mean) / deviation, -CLIP, CLIP) + CLIP) / (2 * CLIP)
    return np.lib.stride_tricks.sliding_window_view(unit, WINDOW).astype(np.float32)


def scores(restored: Array, inputs: Array) -> Array:
    """Root mean square error of each window, in deviations."""
    return np.sqrt(np.mean((restored - inputs) ** 2, axis=1)) * (2 * CLIP)


if __name__ == "__main__":
    write_csv(READINGS, *recorded())
