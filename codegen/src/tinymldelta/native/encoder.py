"""The encoder of format 2's body: the loop that codes, in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tinymldelta.delta.hints import Hint
from tinymldelta.native.binding import ffi, lib
from tinymldelta.wire.constants import Status

PRICE_LISTS: Final = int(lib.TMD_PRICE_LISTS)


class BodyRefused(Exception):  # noqa: N818 - says what was wrong with the call
    """The encoder was told something impossible of the files; a bug of ours."""


def fill_hint(c: Any, hint: Hint) -> None:
    """Put a hint into a `struct tmd_hint`."""
    c.kind, c.type, c.by_channel, c.range = hint.kind, hint.type, hint.by_channel, hint.range
    c.target_at, c.base_at, c.n = hint.target_at, hint.base_at, hint.n
    c.d, c.e = list(hint.shape), list(hint.base_shape)
    c.parts, c.product = hint.parts, hint.product
    c.factor, c.factor_to = hint.factor, hint.factor_to


def encode_body(
    base: bytes,
    target: bytes,
    hints: Sequence[Hint],
    *,
    lean: bool,
    prices: int = 0,
    progress: Callable[[int], None] | None = None,
) -> bytes:
    """The body of a format-2 patch from `base` to `target`, both of at least one byte.

    hints: what is known of the two, in the order of the target; lean: for a lean decoder; prices:
    which list, below PRICE_LISTS, to cut up the rest by; progress: called with the bytes of the
    target that are done. What it raises ends the encoding, and comes out here.
    """
    c_hints = ffi.new("struct tmd_hint[]", max(len(hints), 1))
    for c, hint in zip(c_hints, hints, strict=False):
        fill_hint(c, hint)
    # No byte costs much more than two, and a patch that large is of no use.
    room = 2 * len(target) + 4096
    out = ffi.new("uint8_t[]", room)
    result = ffi.new("struct tmd_encoder_result *")
    callback = ffi.NULL
    stop: list[BaseException] = []
    if progress is not None:
        report = progress

        def go_on(done: int) -> int:
            report(done)
            return 0

        callback = ffi.callback(
            "int(uint32_t)",
            go_on,
            error=1,
            onerror=lambda _type, raised, _where: stop.append(raised),
        )
    err = lib.tmd_encode(
        ffi.from_buffer(base), len(base), ffi.from_buffer(target), len(target), c_hints,
        len(hints), lean, prices, out, room, callback, result,
    )  # fmt: skip
    if stop:
        raise stop[0]
    if err != Status.OK:
        raise BodyRefused(f"{Status(err).name} for {len(hints)} hints")
    return bytes(ffi.buffer(out, result.bytes))
