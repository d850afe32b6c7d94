"""Decodes the body of format 2: operations, ranges and tensors, step by step as in `SPEC.md`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tinymldelta.container.coder2 import WORD, Coder, clamp
from tinymldelta.container.models2 import Columns, Place, Weights, Words, from_ordinal, ordinal
from tinymldelta.container.overlay2 import Overlay, Range, ratio
from tinymldelta.container.patch import PatchFault
from tinymldelta.wire.constants import (
    F2_BEYOND_MAX,
    F2_ELEMENT_BYTES_TABLE,
    F2_HISTORY,
    F2_POOL,
    F2_PRODUCT_MAX,
    F2_RANGES,
    F2_SCALE_LEVEL_START,
    F2_TENSOR_LEVEL_START,
    ElementType,
    Number,
    Operation,
    Plan,
    RangeKind,
    Status,
)

_WEIGHTS: Final = (ElementType.I8, ElementType.U8)
_LEAN_TYPES: Final = (ElementType.I8, ElementType.I32, ElementType.F32, ElementType.SCALE)


def decode_body(base: bytes, body: bytes, target_bytes: int, *, lean: bool) -> bytes:
    """The target, of at least one byte. PatchFault for the first fault of the body."""
    return _Decoder(base, body, target_bytes, lean=lean).decode()


class _Decoder:
    def __init__(self, base: bytes, body: bytes, target_bytes: int, *, lean: bool) -> None:
        self._coder = Coder(body, lean=lean)
        self._overlay = Overlay(base)
        self._base_bytes = len(base)
        self._target_bytes = target_bytes
        self._target = bytearray()
        self._at = 0
        self._last = Operation.COPY
        self._history = bytearray(F2_HISTORY)
        self._inserted = 0
        self._next_range = 0
        self._ends = [0, 0, 0]
        self._pooled = [0, 0]
        self._scale = 0
        self._pool_used = 0
        self._rows = [1, 1]
        self._places = 1
        columns = Columns()
        self._weights = Weights(self._coder, columns)
        self._scale_words = Words(self._coder, columns, F2_SCALE_LEVEL_START)
        self._tensor_words = Words(self._coder, columns, F2_TENSOR_LEVEL_START)

    def decode(self) -> bytes:
        self._coder.begin()
        self._step_ends()
        while len(self._target) < self._target_bytes:
            self._operation()
        if self._coder.unread > 0:
            raise self._fault(Status.TRAILING, f"{self._coder.unread} bytes follow the body")
        return bytes(self._target)

    def _fault(self, status: Status, found: str) -> PatchFault:
        return PatchFault(status, self._coder.position, found)

    def _require(self, holds: bool, found: str) -> None:
        if not holds:
            raise self._fault(Status.BODY, found)

    def _step_ends(self) -> None:
        if self._coder.beyond > F2_BEYOND_MAX:
            raise self._fault(Status.TRUNCATED, "body ends too early")

    @property
    def _target_left(self) -> int:
        return self._target_bytes - len(self._target)

    @property
    def _base_left(self) -> int:
        return self._base_bytes - self._at

    def _operation(self) -> None:
        coder = self._coder
        operation = Operation(coder.tree(coder.plan[Plan.OP + 8 * self._last :], 3))
        self._last = operation
        run: dict[Operation, Callable[[], None]] = {
            Operation.COPY: self._copy,
            Operation.EDIT: self._edit,
            Operation.INSERT: self._insert,
            Operation.REPEAT: self._repeat,
            Operation.SEEK: self._seek,
            Operation.TENSOR: self._tensor,
            Operation.RANGE: self._range,
        }
        self._require(operation in run, "an operation that is none")
        run[operation]()

    # ---- bytes

    def _copy(self) -> None:
        count = self._coder.length() or self._target_left
        self._require(count <= min(self._target_left, self._base_left), f"copy of {count} bytes")
        self._step_ends()
        self._target += self._overlay.copied(self._at, count)
        self._at += count

    def _edit(self) -> None:
        count = self._coder.number(Number.EDIT) + 1
        self._require(count <= min(self._target_left, self._base_left), f"edit of {count} bytes")
        self._step_ends()
        for _ in range(count):
            base = self._overlay.overlaid(self._at, 1)[0]
            self._target.append((base + self._coder.byte()) % 256)
            self._at += 1
            self._step_ends()

    def _keep(self, byte: int) -> None:
        self._target.append(byte)
        self._history[self._inserted % F2_HISTORY] = byte
        self._inserted += 1

    def _insert(self) -> None:
        count = self._coder.number(Number.INSERT) + 1
        self._require(count <= self._target_left, f"insertion of {count} bytes")
        self._step_ends()
        for _ in range(count):
            self._keep(self._coder.byte())
            self._step_ends()

    def _repeat(self) -> None:
        count = self._coder.number(Number.REPEAT) + 1
        back = self._coder.even(8) + 1
        self._require(count <= self._target_left, f"repetition of {count} bytes")
        self._require(not self._coder.lean, "repetition in a lean body")
        self._step_ends()
        for _ in range(count):
            self._keep(self._history[(self._inserted - back) % F2_HISTORY])

    def _seek(self) -> None:
        self._at = (self._at + self._coder.signed(Number.SEEK)) & WORD
        self._require(self._at <= self._base_bytes, f"seek to {self._at}")
        self._step_ends()

    # ---- ranges

    def _note_rows(self, count: int) -> None:
        if count > 1 and count != self._rows[0]:
            self._rows = [count, self._rows[0]]

    def _words_inside(self, at: int, count: int) -> bool:
        return at <= self._base_bytes and count <= (self._base_bytes - at) // 4

    def _offset(self, start: int, kind: int) -> int:
        return (start + 4 * self._coder.signed(kind)) & WORD

    def _range(self) -> None:
        coder = self._coder
        self._require(not coder.lean, "range in a lean body")
        self._step_ends()
        r = Range()
        r.kind = coder.tree(coder.plan[Plan.KIND :], 2)
        k = r.kind % 3
        r.at = self._offset(self._ends[k], Number.AT + k)
        self._step_ends()
        usual = 1 if r.kind == RangeKind.POOLED else self._rows[0]
        count = coder.usual(Plan.COUNT + k, usual, Number.COUNT)
        if r.kind != RangeKind.POOLED:
            self._step_ends()
        if r.kind == RangeKind.PRODUCT:
            self._read_factor(r)
            self._step_ends()
        if r.kind != RangeKind.POOLED:
            self._read_scale(r, k)
        self._check_range(r, count)
        self._begin_range(r, count)
        self._step_ends()
        if r.kind == RangeKind.POOLED:
            self._read_pool(r, count)
        r.words = count
        self._overlay.ranges[self._next_range] = r
        self._next_range = (self._next_range + 1) % F2_RANGES

    def _read_factor(self, r: Range) -> None:
        coder = self._coder
        r.factor = self._pooled[0]
        if coder.flag(Plan.FACTOR):
            r.factor = self._offset(r.at, Number.FACTOR)
        r.stays = coder.flag(Plan.STAYS) == 1

    def _read_scale(self, r: Range, k: int) -> None:
        usual = self._scale
        if r.kind == RangeKind.PRODUCT:
            usual = self._pooled[int(r.factor + r.stays == self._pooled[0])]
        r.scale = usual
        if self._coder.flag(Plan.SCALE + k):
            r.scale = self._offset(r.at, Number.SCALE)

    def _check_range(self, r: Range, count: int) -> None:
        self._require(r.kind <= RangeKind.LIMITS, "a kind of range that is none")
        self._require(self._words_inside(r.at, count), f"{count} words at {r.at}")
        if r.kind == RangeKind.POOLED:
            self._require(count <= F2_POOL, f"{count} words for the pool")
            return
        self._require(count <= F2_PRODUCT_MAX, f"range of {count} words")
        if r.kind == RangeKind.PRODUCT:
            self._require(self._words_inside(r.factor, 1), f"factor at {r.factor}")
        self._require(self._words_inside(r.scale, count), f"scale at {r.scale}")

    def _begin_range(self, r: Range, count: int) -> None:
        self._ends[r.kind] = r.at + 4 * count
        self._overlay.ranges[self._next_range] = Range()
        self._note_rows(count)
        if r.kind != RangeKind.POOLED:
            self._scale = r.scale
            return
        if count > 1:
            if self._pool_used + count > F2_POOL:
                self._pool_used = 0
            r.pool = self._pool_used
            self._pool_used += count
        self._pooled = [r.at, self._pooled[0]]

    def _read_pool(self, r: Range, count: int) -> None:
        for i in range(count):
            old = self._overlay.base_word(r.at + 4 * i)
            new = from_ordinal(self._scale_words.word(ordinal(old, 32), 0, None), 32)
            if count == 1:
                r.single = new
                self._overlay.remember(old, new)
            else:
                self._overlay.pool[r.pool + i] = new
            self._step_ends()

    # ---- tensors

    def _tensor(self) -> None:
        self._step_ends()
        _Tensor(self).decode()


class _Tensor:
    """One tensor: its description, then its elements."""

    def __init__(self, decoder: _Decoder) -> None:
        self._decoder = decoder
        self._coder = decoder._coder
        self._overlay = decoder._overlay
        self._range = Range()

    def decode(self) -> None:
        decoder = self._decoder
        self._read_kind()
        decoder._step_ends()
        size = F2_ELEMENT_BYTES_TABLE[self._type]
        d, e = self._read_dimensions()
        fits = _fits(d, decoder._target_left // size) and _fits(e, decoder._base_left // size)
        decoder._require(fits, f"tensor of {d} from {e}")
        if self._coder.lean:
            known = self._type in _LEAN_TYPES and not self._scaled
            decoder._require(known, "tensor that a lean decoder does not know")
        if self._type in _WEIGHTS:
            decoder._weights.begin_tensor()
            decoder._note_rows(d[2] if self._by_channel else d[0])
            decoder._places = d[1]
        decoder._step_ends()
        place = Place(d)
        self._ratio = 0
        more = True
        while more:
            self._element(place, e, size)
            decoder._step_ends()
            more = place.advance()
        decoder._at += e[0] * e[1] * e[2] * size

    def _read_kind(self) -> None:
        coder = self._coder
        self._type = ElementType(coder.tree(coder.plan[Plan.TYPE :], 3))
        self._by_channel = coder.flag(Plan.BY_CHANNEL) == 1
        self._scaled = coder.flag(Plan.SCALED) == 1
        if self._scaled and not coder.lean:
            back = coder.tree(coder.plan[Plan.SLOT :], 4)
            newest = self._decoder._next_range - 1
            self._range = self._overlay.ranges[(newest - back) % F2_RANGES]
        self._shrink = coder.even(4) if coder.flag(Plan.SHRUNK) else 16

    def _read_dimensions(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Those of the target, and those of the base."""
        coder, decoder = self._coder, self._decoder
        rows = decoder._rows
        d, e = [0, 0, 0], [0, 0, 0]
        for k in range(3):
            if self._type in _WEIGHTS:
                usual = (rows[0], decoder._places, rows[int(d[0] == rows[0])])[k]
                flag = Plan.D + k
            else:
                usual = (1, 1, 1 if self._type == ElementType.SCALE else rows[0])[k]
                flag = Plan.D + 3 + k
            d[k] = coder.usual(flag, usual, Number.D + k)
            decoder._step_ends()
        for k in range(3):
            e[k] = coder.usual(Plan.E + k, d[k], Number.D + k)
            if k < 2:
                decoder._step_ends()
        return (d[0], d[1], d[2]), (e[0], e[1], e[2])

    def _element(self, place: Place, e: tuple[int, int, int], size: int) -> None:
        decoder = self._decoder
        i = place.i
        known = i[0] < e[0] and i[1] < e[1] and i[2] < e[2]
        at = decoder._at + ((i[0] * e[1] + i[1]) * e[2] + i[2]) * size
        if place.row_starts and self._type in _WEIGHTS:
            decoder._weights.begin_row()
        if self._scaled and (place.row_starts or self._by_channel):
            self._ratio = self._ratio_at(i)
        base = int.from_bytes(self._overlay.base[at : at + min(size, 4)], "little") if known else 0
        if self._type in _WEIGHTS:
            value = self._weight(base, known, place)
        elif self._type in (ElementType.F32, ElementType.F16, ElementType.SCALE):
            value = self._float(base, at if known else None, place)
        else:
            value = self._whole(base, place)
        decoder._target += value.to_bytes(size, "little")

    def _ratio_at(self, i: list[int]) -> int:
        r = self._range
        j = 0 if r.words == 1 else i[2] if self._by_channel else i[0]
        if j >= r.words:
            return 65536
        return ratio(self._overlay.base_word(r.at + 4 * j), self._overlay.word_of(r, j))

    def _weight(self, base: int, known: bool, place: Place) -> int:
        flip = 0 if self._type == ElementType.U8 else 128
        t = (base ^ flip) - 128
        if not known:
            t = 0
        elif self._ratio:
            t = t * (self._ratio >> 2) * self._shrink >> 10
        else:
            t = t * 16 * self._shrink
        weight = self._decoder._weights.weight(clamp(t, -128 * 256, 127 * 256), place)
        return (weight + 128) ^ flip

    def _whole(self, base: int, place: Place) -> int:
        predicted = base
        if self._ratio and self._type != ElementType.I16:
            size = (1 << 32) - base if base >> 31 else base
            scaled = size * self._ratio + 32768 >> 16
            predicted = -scaled if base >> 31 else scaled
        word = self._decoder._tensor_words.word(predicted, 0, place)
        if self._type == ElementType.I16:
            return word & 0xFFFF
        if self._type == ElementType.I64:
            high = WORD if word >> 31 else 0
            if self._coder.flag(Plan.HIGH):
                high = self._coder.even(16) << 16
                high += self._coder.even(16)
            return high << 32 | word
        return word

    def _float(self, base: int, at: int | None, place: Place) -> int:
        decoder = self._decoder
        if self._type == ElementType.SCALE:
            overlaid = 0 if at is None else int.from_bytes(self._overlay.overlaid(at, 4), "little")
            number = decoder._scale_words.word(ordinal(overlaid, 32), 0, place)
            word = from_ordinal(number, 32)
            if place.d[2] == 1:
                self._overlay.remember(base, word)
            return word
        if self._type == ElementType.F16:
            exponent, bits = (base >> 10 & 31) - 15, 16
        else:
            exponent, bits = (base >> 23 & 255) - 127, 32
        return from_ordinal(decoder._tensor_words.word(ordinal(base, bits), exponent, place), bits)


def _fits(shape: tuple[int, int, int], most: int) -> bool:
    return 0 not in shape and shape[0] * shape[1] * shape[2] <= most
