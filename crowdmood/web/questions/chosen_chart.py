"""How the answer of a visitor's query is drawn: told from its columns."""

from __future__ import annotations

import math

import pyarrow as pa

from crowdmood.labels import EXPRESSIONS
from crowdmood.palette import STACK_ORDER

NAMES = ("run", "person", "frame", "face", "track", "tile", "segment", "speaker", "number", "place", "pts")
"""Numbers that name something; they are never drawn as a height."""
TIMES = ("second", "minute", "hour", "day", "week", "month", "start", "time", "start_s", "time_s", "peak_s")
MOST_LINES, MOST_BARS, LIKE = 6, 24, 20.0


def chosen_plot(answer: pa.Table) -> str:
    """A plot line as reports have it (see crowdmood.charts), '' where nothing is worth drawing.

    Expressions over anything: stacked; values over time or other rising numbers: lines; one value for each of a few names: bars;
    a value for each pair: a heat map.
    """
    if not len(answer) or len(set(answer.column_names)) < len(answer.column_names):
        return ""
    numbers = [field.name for field in answer.schema if _is_number(field.type) and field.name not in (*NAMES, *TIMES)]
    heights = [name for name in numbers if _can_be_drawn(answer[name])]
    keys = [field.name for field in answer.schema if field.name not in numbers and not pa.types.is_nested(field.type)]
    if not heights:
        return ""
    over = next((name for name in keys if name in TIMES and _is_number(answer[name].type)), None)
    if over is None and len(heights) > 1 and not keys and _rises(answer[heights[0]]):
        over = heights.pop(0)
    if over is not None and len(keys) > 1 and (other := _other_key(answer, keys, over)):
        return f"heat {over} {other} {heights[0]}" if len(answer) > 3 else ""
    key = over or next(iter(keys), None)
    if key is None or len(answer) < 2 or answer[key].null_count:
        return ""
    if set(EXPRESSIONS) <= set(heights):
        return f"stack {key} {' '.join(STACK_ORDER)}"
    if over is not None and _rises(answer[over]):
        return f"line {over} {' '.join(_alike(answer, heights))}"
    return f"bar {key} {heights[0]}" if len(set(answer[key].to_pylist())) == len(answer) else ""


def _other_key(answer: pa.Table, keys: list[str], over: str) -> str | None:
    """The column that with `over` makes a key of two, where `over` alone is none."""
    overs = answer[over].to_pylist()
    if len(set(overs)) == len(overs):
        return None
    others = (name for name in keys if name not in (over, "run"))
    return next((name for name in others if len(set(zip(overs, answer[name].to_pylist(), strict=True))) == len(overs)), None)


def _alike(answer: pa.Table, heights: list[str]) -> list[str]:
    """The first column and those of about its size."""
    sizes = {name: max((abs(float(value)) for value in answer[name].to_pylist() if value is not None), default=0.0) for name in heights}
    first = sizes[heights[0]] or 1.0
    return [name for name in heights if first / LIKE <= (sizes[name] or first) <= first * LIKE][:MOST_LINES]


def _rises(column: pa.ChunkedArray) -> bool:
    values = column.to_pylist()
    return len(values) > 2 and None not in values and len(set(values)) == len(values) and values in (sorted(values), sorted(values, reverse=True))


def _can_be_drawn(column: pa.ChunkedArray) -> bool:
    """Whether there is a value, and none is infinite."""
    values = [float(value) for value in column.to_pylist() if value is not None]
    return bool(values) and not any(map(math.isinf, values))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
