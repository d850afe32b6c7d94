"""One candidate: for a price of a bit, the model between base and target that costs least."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tinymldelta.slim.between import Between, Numbers
from tinymldelta.slim.network import Ints, Reals, Step
from tinymldelta.slim.operators import Depthwise, Parameters, Weighted, softmax
from tinymldelta.slim.rounding import best_scale, bits_of, feedback_factor, first_bits, round_layer
from tinymldelta.slim.windows import Array

_BATCH: Final = 128
_SCALE_BITS: Final = 40.0  # of a scale that is sent, and with it the biases'
_STEPS: Final = 256  # of an int8 tensor
_DRAWS: Final = 4  # of Fisher's information, for each sample
_LEAST_WEIGHT: Final = 0.02  # of the mean: a channel that seems to do nothing may do something
_NOTHING: Final = 1e-100  # a weight above 0, whatever the units of outputs are
_PASSES: Final = 2  # the second one knows what bits the first one's changes take
_RIDGE: Final = 0.05
_CORRECTED: Final = 0.5  # how far weights make up for what earlier layers got wrong


@dataclass(frozen=True)
class _Seen:
    """What a layer is given in the target and in the candidate.

    Means (k), covariance of the candidate's and of the target's with the candidate's, (k, k); for a
    depthwise layer each with a first axis for the channels.
    """

    target_mean: Reals
    mean: Reals
    covariance: Reals
    cross: Reals


class Maker:
    """Makes candidates. Deterministic for a seed."""

    def __init__(self, between: Between, seed: int) -> None:
        self.between = between
        size = between.target.batch(_BATCH)
        self._batches = [between.given[at : at + size] for at in range(0, len(between.given), size)]
        # Of all samples at once no more is kept than is looked at.
        seen = {s.inputs[0] for s in between.target.steps if s.weighted is not None}
        self._target_values = [
            {t: v for t, v in between.target.run(x, between.wanted).items() if t in seen}
            for x in self._batches
        ]
        self._last_use = {t: s.node for s in between.own.steps for t in s.inputs}
        self._weight = self._weights(np.random.default_rng(seed))

    # ---- what an error costs ----

    def _weights(self, random: np.random.Generator) -> dict[int, Reals]:
        """What the square of an error at each channel's output costs, by layer, in nats a sample.

        Half the diagonal of Fisher's information, estimated by gradients for outputs that are drawn
        as the target would have them: of a softmax classes, else the outputs with normal noise, as
        wide as all that the output's tensor can say: prices are the same whatever its unit is.
        """
        net, wanted = self.between.target, self.between.wanted
        total: dict[int, Reals] = {i: np.zeros(len(x.q)) for i, x in net.layers.items()}
        for x in self._batches:
            open_at: dict[int, Array] = {}
            values = net.run(x, wanted, open_at)
            for _ in range(_DRAWS):
                at_head = self._drawn(values[net.head], random)
                before, _ = net.gradients(values, open_at, wanted, at_head)
                for i, gradient in before.items():
                    flat = gradient.reshape(-1, gradient.shape[-1]).astype(np.float64)
                    total[i] += (flat**2).sum(axis=0)
        out = {}
        for i, sum_ in total.items():
            mean = sum_ / (2 * _DRAWS * len(self.between.given))
            out[i] = mean + _LEAST_WEIGHT * mean.mean() + _NOTHING
        return out

    def _drawn(self, head: Array, random: np.random.Generator) -> Array:
        net = self.between.target
        if not net.ends_in_softmax:
            width = np.float32(_STEPS * net.activations[net.head][0])
            return random.standard_normal(head.shape, np.float32) / width
        p = softmax(head).reshape(len(head), -1).astype(np.float64)
        drawn = (p.cumsum(axis=1) < random.random((len(p), 1))).sum(axis=1)
        hot = np.eye(p.shape[1])[np.minimum(drawn, p.shape[1] - 1)]
        return np.asarray(hot - p, np.float32).reshape(head.shape)

    # ---- what a layer sees ----

    def _seen(self, step: Step, weighted: Weighted, made: list[dict[int, Array]]) -> _Seen:
        n = 0
        target_sum = own_sum = own = cross = np.zeros(())
        by_channel = isinstance(weighted, Depthwise)
        product = "nkc,nlc->ckl" if by_channel else "nk,nl->kl"
        for values, own_values in zip(self._target_values, made, strict=True):
            was = weighted.columns(values[step.inputs[0]])
            now = weighted.columns(own_values[step.inputs[0]])
            n += len(was)
            target_sum = target_sum + was.sum(axis=0, dtype=np.float64)
            own_sum = own_sum + now.sum(axis=0, dtype=np.float64)
            own = own + np.einsum(product, now, now, optimize=True)
            cross = cross + np.einsum(product, was, now, optimize=True)
        target_mean, mean = target_sum / n, own_sum / n
        if by_channel:
            target_mean, mean = target_mean.T, mean.T
        outer = "ck,cl->ckl" if by_channel else "k,l->kl"
        return _Seen(
            target_mean,
            mean,
            own / n - np.einsum(outer, mean, mean),
            cross / n - np.einsum(outer, target_mean, mean),
        )

    @staticmethod
    def _ideal(weights: Reals, seen: _Seen) -> Reals:
        """Weights that do to what the candidate sees what the target's do to what it sees."""
        size = seen.covariance.shape[-1]
        mean = np.einsum("...ii->...i", seen.covariance).mean(axis=-1)[..., None, None]
        ridge = (_RIDGE * mean + 1e-9) * np.eye(size)
        own, cross = seen.covariance + ridge, seen.cross + ridge
        if own.ndim == 2:
            better = np.linalg.solve(own, (weights @ cross).T).T
        else:
            both = np.einsum("ck,ckl->cl", weights, cross)
            better = np.linalg.solve(own, both[..., None])[..., 0]
        return np.asarray(weights + _CORRECTED * (better - weights))

    # ---- a candidate ----

    def make(self, price: float, *, feedback: bool = True) -> Numbers:
        """The candidate at this price of a bit, in nats of the output's distribution a sample.

        feedback: let undecided weights make up for errors; without, each is rounded by itself.
        """
        numbers = Numbers()
        made = [self.between.own.start(x) for x in self._batches]
        for step in self.between.own.steps:
            parameters = Parameters({}, {})
            if step.weighted is not None:
                seen = self._seen(step, step.weighted, made)
                part = self._layer(step.node, seen, price, feedback)
                parameters = self.between.parameters(part)
                numbers.q |= part.q
                numbers.scale |= part.scale
                numbers.bias |= part.bias
            for values in made:
                self.between.own.advance(values, step, parameters)
                for t in step.inputs:
                    if self._last_use[t] == step.node:
                        values.pop(t, None)
        return numbers

    def _layer(self, i: int, seen: _Seen, price: float, feedback: bool) -> Numbers:
        weights = self.between.wanted.weights[i].astype(np.float64)
        ideal, covariance = weights, seen.covariance
        if feedback:
            ideal = self._ideal(weights, seen)
        else:
            covariance = covariance * np.eye(covariance.shape[-1])
        q, scale = self._rounded(i, ideal, covariance, price)
        # What the means come to is the biases' matter; they are sent in any case.
        along = "ok,k->o" if seen.mean.ndim == 1 else "ok,ok->o"
        bias = self.between.wanted.biases[i] + np.einsum(along, weights, seen.target_mean)
        bias = bias - np.einsum(along, q * scale[:, None], seen.mean)
        return Numbers({i: q}, {i: scale}, {i: self.between.bias_of(i, bias, scale)})

    def _rounded(self, i: int, ideal: Reals, covariance: Reals, price: float) -> tuple[Ints, Reals]:
        """Weights, and of each channel the scale of the three that comes cheapest."""
        base, target = self.between.base.layers[i], self.between.target.layers[i]
        factor = feedback_factor(covariance)
        nearest = best_scale(ideal, base.q, covariance, one=not base.per_channel)
        scales = [base.scale, np.where(nearest > 0, nearest, target.scale), target.scale]
        scales = [np.asarray(s, np.float32).astype(np.float64) for s in scales]
        rows = np.arange(len(base.q))
        bits = first_bits()
        for _ in range(_PASSES):
            tries = [
                round_layer(ideal, base.q, s, factor, self._weight[i], price, bits) for s in scales
            ]
            costs = np.stack([cost for _, cost in tries])
            sent = np.stack([s != scales[0] for s in scales]) * (price * _SCALE_BITS)
            if base.per_channel:
                best = np.argmin(costs + sent, axis=0)
            else:
                best = np.full(len(rows), np.argmin(costs.sum(axis=1) + sent[:, 0]))
            q = np.stack([q for q, _ in tries])[best, rows]
            bits = bits_of(q - base.q)
        return q, np.stack(scales)[best, rows]
