"""Test vectors from the samples: those that tell the target from a wrong model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tinymldelta.accuracy.data import Feed, Samples, joined
from tinymldelta.accuracy.gate import infer, load
from tinymldelta.accuracy.metrics import Seen
from tinymldelta.errors import Refusal
from tinymldelta.interpreter import Interpreter
from tinymldelta.model import read_model
from tinymldelta.vectors import VECTORS_MAX, Vectors, check_tolerance, output_type


def choose_vectors(
    target: bytes,
    where: str,
    samples: Samples,
    seen: Sequence[Seen],
    count: int,
    interpreter: Interpreter,
    tolerance: float | None = None,
) -> Vectors:
    """`count` test vectors out of the samples, with the outputs that the interpreter works out.

    seen: what the gate saw of each sample. tolerance: as for vectors of a file; 0 if it is None,
    but for floats, of which no two kinds of machine work out the same.
    """
    model = read_model(target, where)
    type_name, type_code = output_type(model.output_tensors, where)
    if tolerance is None and type_name.startswith("FLOAT"):
        raise Refusal(
            where,
            f"its outputs are {type_name}, which a device rounds differently than this machine",
            "say with --tolerance how far they may be off",
        )
    tolerance = check_tolerance(type_name, tolerance or 0, where)
    feed = Feed(samples, model)
    inputs = _distinct(_in_order(seen), feed, count)
    if not 1 <= count <= VECTORS_MAX or len(inputs) < count:
        raise Refusal(
            samples.where,
            f"{count} test vectors are wanted; of its samples {len(inputs)} can be had that differ "
            "and that the target gets right",
            f"ask for 1 to {min(len(inputs), VECTORS_MAX)}" if inputs else "",
        )
    # Anew and in this order, as the device runs them: a model may have a state.
    loaded = load(target, where, interpreter)
    outputs = tuple(infer(loaded, given, row, where) for row, given in inputs.items())
    return Vectors(type_name, type_code, tuple(inputs.values()), outputs, tolerance)


def _in_order(seen: Sequence[Seen]) -> Iterator[int]:
    """The samples that may be taken, the most telling first, one of each group in turn."""
    groups: dict[int, list[int]] = {}
    for row, one in enumerate(seen):
        if one.right:
            groups.setdefault(one.group, []).append(row)

    def telling(row: int) -> tuple[float, float, int]:
        return -seen[row].gain, -seen[row].margin, row

    ranked = sorted(
        (sorted(rows, key=telling) for rows in groups.values()), key=lambda r: telling(r[0])
    )
    for turn in range(max(map(len, ranked), default=0)):
        for rows in ranked:
            if turn < len(rows):
                yield rows[turn]


def _distinct(rows: Iterable[int], feed: Feed, count: int) -> dict[int, bytes]:
    """The inputs of the first `count` of the rows that differ from those before."""
    inputs: dict[int, bytes] = {}
    known = set()
    for row in rows:
        if len(inputs) >= count:
            break
        given = joined(feed.sample(row))
        if given not in known:
            known.add(given)
            inputs[row] = given
    return inputs
