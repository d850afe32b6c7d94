"""Subgraphs that run other subgraphs."""

from __future__ import annotations

from typing import Final

from tinymldelta.model.tables import Graph, Layout

# Operators that run other subgraphs. Their options are those subgraphs' numbers.
CALLERS: Final = frozenset({"CALL_ONCE", "IF", "WHILE"})

DEPTH_MAX: Final = 16


def unending(layout: Layout, graphs: tuple[Graph, ...]) -> int | None:
    """A subgraph that runs itself, also by way of others, or others more than DEPTH_MAX deep.

    TFLM recurses for each while it plans, and would follow a loop without end.
    """
    calls = [
        {
            called
            for node in (layout.nodes[i] for i in graph.nodes)
            if layout.operators[node.operator].name in CALLERS
            for called in node.options
        }
        for graph in graphs
    ]
    for _ in range(DEPTH_MAX):
        leaves = {g for g, called in enumerate(calls) if not called}
        calls = [called - leaves for called in calls]
    return next((g for g, called in enumerate(calls) if called), None)
