"""A pair as pairs.py left it, and how models do on its samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slimming.kinds import KINDS, LARGE, RECIPE, VIEWS, kind_of
from tinymldelta.accuracy import Metric, MetricKind, Samples, choose_metric, read_samples
from tinymldelta.accuracy.data import Array, Feed, dequantise, joined, split
from tinymldelta.accuracy.gate import infer, load
from tinymldelta.accuracy.metrics import Compared, Seen
from tinymldelta.interpreter import Interpreter
from tinymldelta.model import read_model

_MODELS = ("base", "target")
PARTS = ("calibration", "validation", "test")
ABOUT = "pair.json"


@dataclass(frozen=True)
class Pair:
    name: str
    base: bytes
    target: bytes
    calibration: Samples
    validation: Samples
    test: Samples
    metric: str  # its name

    def metric_on(self, samples: Samples) -> Metric:
        models = (read_model(data, self.name) for data in (self.base, self.target))
        return choose_metric(self.metric, samples, *models)[0]


def is_made(folder: Path) -> bool:
    """Whether a whole pair of today's recipe is there: its pair.json is written last."""
    about = folder / ABOUT
    return about.is_file() and json.loads(about.read_text(encoding="utf-8"))["recipe"] == RECIPE


def read_pair(folder: Path) -> Pair:
    base, target = ((folder / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    model = read_model(target, folder.name)
    samples = [
        read_samples((folder / f"{part}.npz").read_bytes(), f"{part}.npz", model) for part in PARTS
    ]
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return Pair(folder.name, base, target, *samples, about["metric"])


@dataclass(frozen=True)
class Verdict:
    """compared: with the target. changed: samples to which the model answers differently. as_one:
    how many of them count as one; None where none differs, or where that is not known.
    """

    compared: Compared
    changed: int
    as_one: float | None


def count_as_one(seen: Sequence[Seen], labels: Array | None, views: int) -> float | None:
    """How many samples tell as much as one would that is independent of all others.

    By the variance of the drop if things are drawn, over that if samples are (the design effect).
    Sample i is a view of thing i modulo their number. labels: of an AUC, whose samples count by how
    many of the other label they are above (Obuchowski, Biometrics 53, 1997); None for an accuracy.
    None where no sample differs.
    """
    base, target = (np.array([getattr(one, of) for one in seen], float) for of in _MODELS)
    if labels is None:
        parts = (base - base.mean()) - (target - target.mean())
    else:
        parts = _placed(base, labels) - _placed(target, labels)
    alone = float((parts**2).sum())
    together = float((parts.reshape(views, -1).sum(axis=0) ** 2).sum())
    return together / alone if alone > 0 else None


def _placed(scores: Array, labels: Array) -> Array:
    """What each sample adds to the AUC, less the mean of its label's."""
    out = np.zeros(len(scores))
    for label in (False, True):
        own, other = scores[labels == label], np.sort(scores[labels != label])
        below = np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")
        share = below / (2 * len(other))
        out[labels == label] = (1 if label else -1) * (share - share.mean()) / len(own)
    return out


class Judge:
    """Models against the target, on one part of a pair's samples, by one interpreter.

    As the gate does it, but that the target is run only once.
    """

    def __init__(self, pair: Pair, samples: Samples, interpreter: Interpreter) -> None:
        self._samples, self._interpreter = samples, interpreter
        self._metric = pair.metric_on(samples)
        self._views = VIEWS if kind_of(pair.name) in KINDS | LARGE else 1
        self._feed = Feed(samples, read_model(pair.target, pair.name))
        self._model = read_model(pair.target, pair.name)
        self._target = self._outputs(pair.target)

    def compare(self, model: bytes) -> Verdict:
        outputs = self._outputs(model)
        (tensor,) = self._model.input_tensors
        seen = []
        for row, (was, now) in enumerate(zip(self._target, outputs, strict=True)):
            given = [dequantise(self._feed.sample(row)[0], tensor)]
            seen.append(self._metric.see(row, given, was, now))
        as_one = None
        if self._views > 1:
            labels = self._samples.labels.astype(bool)
            of_auc = self._metric.kind is MetricKind.AUC
            as_one = count_as_one(seen, labels if of_auc else None, self._views)
        return Verdict(self._metric.compare(seen), sum(one.changed for one in seen), as_one)

    def _outputs(self, data: bytes) -> list[Sequence[Array]]:
        model = read_model(data, "model")
        feed, loaded = Feed(self._samples, model), load(data, "model", self._interpreter)
        out: list[Sequence[Array]] = []
        for row in range(len(self._samples)):
            found = split(
                infer(loaded, joined(feed.sample(row)), row, "model"), model.output_tensors
            )
            out.append(
                [dequantise(v, t).astype(np.float64)
                 for v, t in zip(found, model.output_tensors, strict=True)]
            )  # fmt: skip
        return out
