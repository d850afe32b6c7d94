"""Which tensor of the base a tensor of the target has come from."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher

from tinymldelta.model import Layout, Tensor

# Below this share of names in common, a target was exported under other names.
_RENAMED_BELOW = 0.7


def pair_tensors(base: Layout, target: Layout) -> dict[int, Tensor]:
    """The base's tensor for each of the target's, by index; where there is none, no entry.

    By name, as long as names are mostly the same. Else in order, by element type and shape, then by
    element type and rank: a converter keeps the order in which layers follow each other.
    """
    counts = Counter(t.name for t in base.tensors)
    by_name = {t.name: t for t in base.tensors if counts[t.name] == 1}
    pairs = {t.index: by_name[t.name] for t in target.tensors if t.name in by_name}
    pairs = {i: b for i, b in pairs.items() if b.type == target.tensors[i].type}
    if len(pairs) >= _RENAMED_BELOW * len(target.tensors):
        return pairs
    pairs = {}
    _pair_in_order(base, target, pairs, exact=True)
    _pair_in_order(base, target, pairs, exact=False)
    return pairs


def _pair_in_order(base: Layout, target: Layout, pairs: dict[int, Tensor], *, exact: bool) -> None:
    taken = {b.index for b in pairs.values()}
    ours = [t for t in target.tensors if t.index not in pairs]
    theirs = [t for t in base.tensors if t.index not in taken]
    matcher = SequenceMatcher(
        None, [_key(t, exact) for t in theirs], [_key(t, exact) for t in ours], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for k in range(block.size):
            pairs[ours[block.b + k].index] = theirs[block.a + k]


def _key(tensor: Tensor, exact: bool) -> tuple[object, ...]:
    return (
        tensor.type,
        tensor.shape if exact else len(tensor.shape),
        tensor.data is not None,
        tensor.quantisation is not None,
    )
