"""The operations of a body of format 2, and its tensors: as `SPEC.md` says, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinymldelta.container.coder2 import WORD_MASK, Coder, clamp, fresh
from tinymldelta.container.models2 import Dimensions, Spot, WeightModel, WordModel
from tinymldelta.container.overlay2 import Overlay, Range
from tinymldelta.container.patch import PatchFault
from tinymldelta.wire.constants import (
    F2_BEYOND_MAX,
    F2_COLUMNS,
    F2_ELEMENT_BYTES_TABLE,
    F2_GAIN_BITS,
    F2_GAP_MAX,
    F2_HISTORY,
    F2_POOL,
    F2_RANGE_MAX,
    F2_RANGES,
    F2_SCALE_LEVEL_START,
    F2_TENSOR_LEVEL_START,
    ElementType,
    Mode,
    Number,
    Operation,
    Plan,
    RangePart,
    Status,
)

LEAN_TYPES: Final = (ElementType.I8, ElementType.I32, ElementType.F32, ElementType.SCALE)


def signed_word(v: int) -> int:
    """The lower 32 bits as a number in two's complement."""
    return ((v + 0x80000000) & WORD_MASK) - 0x80000000


def to_order(v: int, width: int) -> int:
    """A float's bits as a number whose neighbours are neighbouring floats."""
    top = 1 << (width - 1)
    return v if v < top else (-1 - (v - top)) & WORD_MASK


def from_order(o: int, width: int) -> int:
    """The float's bits of such a number."""
    top = 1 << (width - 1)
    return top + (top - 1 - o % top) if o & top else o % top


@dataclass(frozen=True, slots=True)
class Tensor:
    """What the fields of a tensor say."""

    type: ElementType
    by_channel: int
    mode: Mode
    scaled_by: Range | None
    d: Dimensions
    e: Dimensions

    @property
    def is_weights(self) -> bool:
        """Whether the elements are weights of 8 bits."""
        return self.type in (ElementType.I8, ElementType.U8)


class Body:
    """Builds the target."""

    def __init__(self, base: bytes, target_bytes: int, lean: bool, body: bytes) -> None:
        """Nothing is read yet."""
        self._target_bytes: Final = target_bytes
        self._lean: Final = lean
        self._coder: Final = Coder(body, lean)
        self._overlay: Final = Overlay(base, lean)
        self._base: Final = base
        columns = [0] * F2_COLUMNS
        self._weights: Final = WeightModel(self._coder, columns)
        self._scale_words: Final = WordModel(self._coder, columns, F2_SCALE_LEVEL_START)
        self._tensor_words: Final = WordModel(self._coder, columns, F2_TENSOR_LEVEL_START)
        self._edit_literal: Final = fresh(32 if lean else 128)
        self._insert_literal: Final = self._edit_literal if lean else fresh(128)
        self._target: Final = bytearray()
        self._history: Final = bytearray(F2_HISTORY)
        self._at = 0
        self._last = Operation.COPY
        self._rows = (1, 1)
        self._places = 1
        self._by_channel = 0
        self._end = 0
        self._factor_at = 0
        self._gaps: Final = [0, 0, 0]

    def decode(self) -> bytes:
        """Take all steps."""
        self._coder.begin()
        self._end_step()
        while len(self._target) < self._target_bytes:
            self._operation()
        if self._coder.left:
            raise self._fault(Status.TRAILING, f"{self._coder.left} bytes follow the body")
        return bytes(self._target)

    def _fault(self, status: Status, found: str) -> PatchFault:
        return PatchFault(status, self._coder.read, found)

    def _require(self, condition: bool) -> None:
        """Refuse a body that asks for something impossible."""
        if not condition:
            operation = self._last.name.lower()
            raise self._fault(Status.BODY, f"the body asks for an impossible {operation}")

    def _end_step(self) -> None:
        if self._coder.beyond > F2_BEYOND_MAX:
            raise self._fault(Status.TRUNCATED, "the body ends too early")

    @property
    def _target_left(self) -> int:
        return self._target_bytes - len(self._target)

    @property
    def _base_left(self) -> int:
        return len(self._base) - self._at

    def _operation(self) -> None:
        first = Plan.OP + 8 * self._last
        operation = Operation(self._coder.tree(self._coder.plan, first, 3))
        last, self._last = self._last, operation
        match operation:
            case Operation.COPY:
                self._copy(last)
            case Operation.EDIT:
                self._edit()
            case Operation.INSERT:
                self._insert()
            case Operation.REPEAT:
                self._repeat()
            case Operation.SEEK:
                self._at = (self._at + self._coder.signed(Number.SEEK)) & WORD_MASK
                self._require(self._at <= len(self._base))
                self._end_step()
            case Operation.TENSOR:
                self._end_step()
                self._tensor()
            case Operation.RANGE:
                self._require(not self._lean)
                self._end_step()
                self._range()
            case Operation.WORDS:
                self._words()

    def _copy(self, last: Operation) -> None:
        k = {Operation.TENSOR: 1, Operation.EDIT: 2}.get(last, 0)
        n = self._coder.length(k) or self._target_left
        self._require(n <= self._target_left and n <= self._base_left)
        self._end_step()
        self._target.extend(self._overlay.copied(self._at, n))
        self._at += n

    def _edit(self) -> None:
        n = self._coder.number(Number.EDIT) + 1
        self._require(n <= self._target_left and n <= self._base_left)
        self._end_step()
        for old in self._overlay.overlaid(self._at, n):
            self._target.append((old + self._byte(inserted=False)) & 255)
            self._at += 1
            self._end_step()

    def _insert(self) -> None:
        n = self._coder.number(Number.INSERT) + 1
        self._require(n <= self._target_left)
        self._end_step()
        for _ in range(n):
            self._note_inserted(self._byte(inserted=True))
            self._end_step()

    def _repeat(self) -> None:
        n = self._coder.number(Number.REPEAT) + 1
        distance = self._coder.even(8) + 1
        self._require(n <= self._target_left and not self._lean)
        self._end_step()
        for _ in range(n):
            self._note_inserted(self._history[-distance])

    def _note_inserted(self, byte: int) -> None:
        self._target.append(byte)
        self._history.append(byte)
        del self._history[0]

    def _byte(self, inserted: bool) -> int:
        literal = self._insert_literal if inserted else self._edit_literal
        even = 3 if self._lean else 1
        high = self._coder.tree(literal, 0, 8 - even)
        return high << even | self._coder.even(even)

    def _words(self) -> None:
        n = self._coder.usual(Plan.WORDS, 1, Number.WORDS)
        d = (1, 1, n)
        self._elements(Tensor(ElementType.SCALE, self._by_channel, Mode.PLAIN, None, d, d))

    def _note_rows(self, n: int) -> None:
        if n > 1 and n != self._rows[0]:
            self._rows = (n, self._rows[0])

    def _place(self, k: int, start: int) -> int:
        moved = self._coder.signed(Number.AT + k)
        gap = (self._gaps[k] + 4 * moved) & WORD_MASK
        if (gap + F2_GAP_MAX) & WORD_MASK < 2 * F2_GAP_MAX:
            self._gaps[k] = gap
        return (start + gap) & WORD_MASK

    def _range(self) -> None:
        coder, overlay = self._coder, self._overlay
        parts = coder.tree(coder.plan, Plan.PARTS, 3)
        changed, has_product, limits = (parts >> part & 1 for part in RangePart)
        at = self._place(0, self._end)
        self._end_step()

        n = coder.usual(Plan.COUNT, self._rows[0], Number.COUNT)
        self._end = (at + 12 * n) & WORD_MASK
        product_at = 0
        renewed = 0
        if has_product:
            self._end_step()
            product_at = self._place(1, self._end)
            self._end = (product_at + 12 * n) & WORD_MASK
            self._end_step()
            self._factor_at = self._place(2, self._factor_at or at)
            renewed = coder.bit(coder.plan[Plan.RENEWED])
        self._require(n <= (F2_POOL if changed else F2_RANGE_MAX))
        self._require(overlay.holds(3 * n + 2 if limits else n, at))
        if has_product:
            self._require(overlay.holds(n, product_at) and overlay.holds(1, self._factor_at))
        self._end_step()

        self._note_rows(n)
        factor = 0
        if has_product:
            factor = overlay.replaced(overlay.word(self._factor_at))
            if renewed:
                factor = self._range_word(self._factor_at, single=True)
        pooled = 0
        if changed:
            pooled = overlay.reserve(n)
            for i in range(n):
                overlay.fill(pooled + i, self._range_word(at + 4 * i, single=n == 1))
        overlay.add(Range(parts, at, n, product_at, factor, pooled))

    def _range_word(self, at: int, single: bool) -> int:
        old = self._overlay.word(at)
        new = from_order(self._scale_words.word(32, to_order(old, 32), 0, None), 32)
        if single:
            self._overlay.remember(old, new)
        self._end_step()
        return new

    def _tensor(self) -> None:
        coder = self._coder
        kind = ElementType(coder.tree(coder.plan, Plan.TYPE, 3))
        is_weights = kind in (ElementType.I8, ElementType.U8)
        self._by_channel = coder.bit(coder.plan[Plan.BY_CHANNEL]) if is_weights else 1
        mode = Mode(coder.tree(coder.plan, Plan.MODE + (4 if is_weights else 0), 2))
        scaled_by: Range | None = None
        if mode == Mode.SCALED and not self._lean:
            back = coder.tree(coder.plan, Plan.SLOT, F2_RANGES.bit_length() - 1)
            scaled_by = self._overlay.back(back)
        self._end_step()

        d = self._target_dimensions(is_weights)
        e0 = coder.usual(Plan.E, d[0], Number.D)
        self._end_step()
        e1 = coder.usual(Plan.E + 1, d[1], Number.D_1)
        self._end_step()
        e2 = coder.usual(Plan.E + 1, d[2], Number.D_2)
        self._elements(Tensor(kind, self._by_channel, mode, scaled_by, d, (e0, e1, e2)))

    def _target_dimensions(self, is_weights: bool) -> Dimensions:
        coder, rows = self._coder, self._rows
        flag = Plan.D + (0 if is_weights else 3)
        d0 = coder.usual(flag, rows[0] if is_weights else 1, Number.D)
        self._end_step()
        d1 = coder.usual(flag + 1, self._places if is_weights else 1, Number.D_1)
        self._end_step()
        likely = rows[1] if is_weights and d0 == rows[0] else rows[0]
        d2 = coder.usual(flag + 2, likely, Number.D_2)
        self._end_step()
        return d0, d1, d2

    def _elements(self, tensor: Tensor) -> None:
        """The end of the last field's step, and the elements."""
        d, e, size = tensor.d, tensor.e, F2_ELEMENT_BYTES_TABLE[tensor.type]
        self._require(d[0] * d[1] * d[2] * size <= self._target_left)
        base_bytes = e[0] * e[1] * e[2] * size
        self._require(base_bytes <= self._base_left)
        if self._lean:
            self._require(tensor.mode != Mode.SCALED and tensor.type in LEAN_TYPES)
        else:
            self._require(tensor.mode != Mode.SCALED or tensor.scaled_by is not None)
        self._end_step()

        if tensor.is_weights:
            self._weights.begin_tensor()
            self._note_rows(d[2] if tensor.by_channel else d[0])
            self._places = d[1]
        raw = self._base[self._at : self._at + base_bytes]
        seen = raw
        if tensor.type == ElementType.SCALE:
            seen = self._overlay.overlaid(self._at, base_bytes)
        ratio = 0 if tensor.mode == Mode.NEW else 65536
        for i0 in range(d[0]):
            for i1 in range(d[1]):
                for i2 in range(d[2]):
                    first = i1 == 0 and i2 == 0
                    ratio = self._ratio(tensor, (i0, i1, i2), first, ratio)
                    if first and tensor.is_weights:
                        self._weights.begin_row()
                    old = old_seen = 0
                    if i0 < e[0] and i1 < e[1] and i2 < e[2]:
                        k = ((i0 * e[1] + i1) * e[2] + i2) * size
                        old = int.from_bytes(raw[k : k + size], "little")
                        old_seen = int.from_bytes(seen[k : k + size], "little")
                    spot = Spot((i0, i1, i2), d)
                    new = self._element(tensor.type, old_seen, ratio, spot)
                    if tensor.type == ElementType.SCALE and d[2] == 1:
                        self._overlay.remember(old, new)
                    self._target.extend(new.to_bytes(size, "little"))
                    self._end_step()
        self._at += base_bytes

    def _ratio(self, tensor: Tensor, i: Dimensions, first: bool, ratio: int) -> int:
        """The ratio for element i, from that of the one before."""
        if tensor.mode == Mode.GAINED and first:
            return (65536 + (self._coder.signed(Number.GAIN) << F2_GAIN_BITS)) & WORD_MASK
        of = tensor.scaled_by
        if tensor.mode == Mode.SCALED and of is not None and (first or tensor.by_channel):
            j = min(of.count - 1, i[2] if tensor.by_channel else i[0])
            return self._overlay.grown(of, j, tensor.is_weights)
        return ratio

    def _element(self, kind: ElementType, old: int, ratio: int, spot: Spot) -> int:
        words, coder = self._tensor_words, self._coder
        match kind:
            case ElementType.I8:
                return self._weight(((old + 128) & 255) - 128, ratio, spot) & 255
            case ElementType.U8:
                # A missing base is 0 before 128 is taken off.
                return self._weight(old - 128, ratio, spot) + 128
            case ElementType.I16:
                return words.word(16, self._whole(old, ratio), 0, spot)
            case ElementType.I32:
                return words.word(32, self._whole(old, ratio), 0, spot)
            case ElementType.I64:
                low = words.word(32, self._whole(old & WORD_MASK, ratio), 0, spot)
                high = WORD_MASK if low >> 31 else 0
                if coder.bit(coder.plan[Plan.HIGH]):
                    high = coder.even(16) << 16
                    high |= coder.even(16)
                return high << 32 | low
            case ElementType.F32:
                exponent = (old >> 23 & 255) - 127
                return from_order(words.word(32, to_order(old, 32), exponent, spot), 32)
            case ElementType.F16:
                exponent = (old >> 10 & 31) - 15
                return from_order(words.word(16, to_order(old, 16), exponent, spot), 16)
            case ElementType.SCALE:
                word = self._scale_words.word(32, to_order(old, 32), 0, spot)
                return from_order(word, 32)

    def _weight(self, old: int, ratio: int, spot: Spot) -> int:
        t = signed_word(old * (ratio >> 2)) >> 6
        return self._weights.weight(clamp(t, -32768, 32512), spot)

    def _whole(self, old: int, ratio: int) -> int:
        number = signed_word(old)
        size = (abs(number) * ratio + 32768) >> 16
        return (-size if number < 0 else size) & WORD_MASK


def decode_body(base: bytes, body: bytes, target_bytes: int, *, lean: bool) -> bytes:
    """The target, of at least one byte. PatchFault for the first fault of the body."""
    return Body(base, target_bytes, lean, body).decode()
