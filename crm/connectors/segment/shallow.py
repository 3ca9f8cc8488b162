"""A batch of which one message is nested too deeply for the decoder, so that the others can be read. Pure."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

#: At which level messages begin: below the envelope and its list.
_MESSAGES: Final = 3
#: Levels from which on a message is cut out. The decoder stops where Python's limit on recursion does: at 1,000, less
#: what has been called before.
_DEEP: Final = 500
#: Brackets that are looked at, in runs: some 50 ms. A shop's batch of 500 KB has 6,000 of them.
_MOST_RUNS: Final = 50_000
#: Whatever has no brackets, texts above all, and then some that open or close, or the end (possessive: linear).
_RUN: Final = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))*+([\[{]++|[\]}]++|\Z)', re.DOTALL)


def shallow(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The body with a text in place of each message that is too deep, and the messages by these texts, as JSON."""
    mark = b"deep"
    while mark in body:
        mark += b"-"
    cut: dict[bytes, bytes] = {}
    parts, end = [], 0
    for number, (start, stop) in enumerate(_deep(body)):
        stands_for_it = b'"%s%d"' % (mark, number)
        cut[stands_for_it] = body[start:stop]
        parts += [body[end:start], stands_for_it]
        end = stop
    return b"".join([*parts, body[end:]]), cut


def _deep(body: bytes) -> list[tuple[int, int]]:
    """Where messages begin and end that are too deep; none where there is too much to look at."""
    spans = []
    depth = deepest = begin = 0
    runs = [run.span(1) for run in islice(_RUN.finditer(body), _MOST_RUNS)]
    for start, stop in runs if len(runs) < _MOST_RUNS else ():
        size = stop - start
        if body[start : start + 1] in (b"[", b"{"):
            if depth < _MESSAGES <= depth + size:
                begin, deepest = start + _MESSAGES - 1 - depth, 0
            depth += size
            deepest = max(deepest, depth)
        else:
            if depth >= _MESSAGES > depth - size and deepest > _DEEP:
                spans.append((begin, start + depth - _MESSAGES + 1))
            depth -= size
    return spans
