"""Links -> what hangs together. Pure, and loads nothing: readers use it, too."""

from __future__ import annotations

from collections.abc import Iterable

from mailloom.ports import NodeName


def components(links: Iterable[tuple[NodeName, NodeName]]) -> dict[NodeName, NodeName]:
    """Each node -> the smallest node of its component, which is its oldest message where it has one."""
    below: dict[NodeName, NodeName] = {}

    def lowest(node: NodeName) -> NodeName:
        while below.setdefault(node, node) != node:
            below[node] = node = below[below[node]]
        return node

    for a, b in links:
        low, high = sorted((lowest(a), lowest(b)))
        below[high] = low
    return {node: lowest(node) for node in below}
