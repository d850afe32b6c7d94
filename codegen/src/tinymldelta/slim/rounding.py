"""Which weights to change, and to what: rounding by rate and distortion, with error feedback.

As in GPTQ (Frantar et al., ICLR 2023): weights are decided one column after the other, and the
error of each is made up for, as far as possible, by those of its row that are not decided yet.
Other than there, a weight is not rounded to the nearest value, but to that which costs least,
distortion and price of its bits together; the base's own value is nearly free.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tinymldelta.slim.network import Ints, Reals, Unsupported

_DAMP: Final = 0.01  # of the mean variance, added to each
_LEAST: Final = 1e-12  # mean variance of what is said to vary
_BETWEEN: Final = 3  # values between the target's and the base's that are tried
_FARTHEST: Final = 255  # of two int8 values; quantisers other than TensorFlow's use -128


def first_bits() -> Reals:
    """Bits of each change from -255 to 255, before any was seen: most are none."""
    away = np.abs(np.arange(-_FARTHEST, _FARTHEST + 1))
    p = np.where(away == 0, 0.7, 0.15 * 0.5 ** np.minimum(away, 25))
    return np.asarray(-np.log2(p / p.sum()))


def bits_of(changes: Ints) -> Reals:
    """The same as an adaptive coder comes to spend them, by how often each of these occurs."""
    counts = np.bincount(changes.ravel() + _FARTHEST, minlength=2 * _FARTHEST + 1)
    away = np.abs(np.arange(-_FARTHEST, _FARTHEST + 1))
    near = np.convolve(counts, [0.25, 0.5, 0.25], "same")
    p = 0.7 * counts + 0.3 * near + 0.3 * 0.5 ** np.minimum(away, 20) + 1e-4
    return np.asarray(-np.log2(p / p.sum()))


def feedback_factor(covariance: Reals) -> Reals:
    """The upper Cholesky factor of the inverse of (..., k, k) covariances, damped.

    What does not vary, or by less than rounding errors do, is damped until it can be inverted.
    Raises Unsupported for covariances that are no numbers.
    """
    if not np.isfinite(covariance).all():
        raise Unsupported("values beyond what binary32 holds")
    size = covariance.shape[-1]
    mean = np.einsum("...ii->...i", covariance).mean(axis=-1)[..., None, None]
    step = np.where(mean > _LEAST, mean, 1.0) * np.eye(size)
    damp = _DAMP
    while True:
        try:
            inverse = np.linalg.inv(covariance + damp * step)
            lower = np.linalg.cholesky((inverse + np.swapaxes(inverse, -1, -2)) / 2)
        except np.linalg.LinAlgError:
            damp *= 10
            continue
        return np.asarray(np.swapaxes(lower, -1, -2))


def round_layer(
    wanted: Reals, base: Ints, scale: Reals, factor: Reals, weight: Reals, price: float, bits: Reals
) -> tuple[Ints, Reals]:
    """int8 weights for real ones, and what each channel costs.

    wanted: (channels, k), real. base: the base's int8 weights. scale: of each channel, as it will
    be. factor: feedback_factor of what the weights see, (k, k), or (channels, k, k). weight: what
    the square of an error at each channel's output costs. price: of a bit. bits: of each change.
    """
    rest = wanted.astype(np.float64).copy()
    out = np.empty_like(base)
    cost = np.zeros(len(base))
    rows = np.arange(len(base))
    inward = np.arange(1, _BETWEEN + 1)[:, None]
    for k in range(base.shape[1]):
        near = np.clip(np.rint(rest[:, k] / scale), -127, 127).astype(np.int32)
        was = base[:, k]
        tried = np.concatenate([[was], [near], near - np.sign(near - was) * inward])
        tried = np.clip(tried, np.minimum(was, near), np.maximum(was, near))
        error = (rest[:, k] - scale * tried) / factor[..., k, k]
        total = weight * error**2 + price * bits[tried - was + _FARTHEST]
        best = np.argmin(total, axis=0)
        out[:, k] = tried[best, rows]
        cost += total[best, rows]
        rest[:, k + 1 :] -= error[best, rows][:, None] * factor[..., k, k + 1 :]
    return out, cost


def best_scale(wanted: Reals, base: Ints, covariance: Reals, *, one: bool) -> Reals:
    """The scale at which the base's integers come nearest to what is wanted.

    For each channel; one: for all channels together. By least squares, weighed by the covariance of
    what the weights see; 0 where no positive scale does.
    """
    b = base.astype(np.float64)
    seen = b @ covariance if covariance.ndim == 2 else np.einsum("ok,okl->ol", b, covariance)
    over = np.einsum("ok,ok->o", seen, wanted)
    under = np.einsum("ok,ok->o", seen, b)
    if one:
        over, under = np.full(len(b), over.sum()), np.full(len(b), under.sum())
    scale = np.where(under > 0, over / np.maximum(under, 1e-300), 0.0)
    return np.asarray(np.maximum(scale, 0.0))
