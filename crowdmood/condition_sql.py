"""A condition's tree as SQL over faces and frames, and the order in which the moments that satisfy it are ranked.

Every literal is bound as a parameter; what is written into the SQL are names from the lists below. A quantity that does not
exist (no readable face, nobody of that number, nothing 2 s before in the same scene) is NULL, and so is a division by zero: no
comparison with it is true or false.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crowdmood.conditions import LOGIC, Node, parse

OF_FRAME = {
    "persons": "pieces.persons", "faces": "pieces.faces", "usable": "pieces.usable_faces", "time": "pieces.time_s",
    "cut": "pieces.cut", "coverage": "pieces.usable_faces / nullif(pieces.faces, 0)",
    "positivity": "CAST(pieces.positivity AS DOUBLE)",
}
OF_FACES = {
    "share": "avg(CASE WHEN expression = {value} THEN 1.0 ELSE 0.0 END) FILTER (usable)",
    "least": "min({name}) FILTER (usable)",
    "most": "max({name}) FILTER (usable)",
    "valence": "avg(valence) FILTER (usable)",
    "person": "max({name}) FILTER (usable AND person = {value})",
}
GROUPS = {"all:": "({share} = 1)", "any:": "({share} > 0)", "most:": "({share} > 0.5)"}
RANKED_BY = {"all:": "least", "any:": "most", "most:": "share"}
SIGNS = {"==": "=", "!=": "<>"}
# A frame that is shown for much longer than usual stands before a gap: frames are missing there.
LONGEST_S, LONGEST_STEPS = 1.0, 3.0
FRAMES = """
pieces AS (  -- unbroken parts: no cut and no gap inside
    SELECT *, sum(CASE WHEN starts THEN 1 ELSE 0 END) OVER (ORDER BY frame) AS piece
    FROM (
        SELECT
            frames.*, least(shown_s, longest_s) AS counted_s,
            cut OR coalesce(lag(shown_s) OVER (ORDER BY frame) > longest_s, false) AS starts
        FROM frames, (SELECT greatest($longest_s, $longest_steps * median(shown_s)) AS longest_s FROM frames)
    )
)"""


@dataclass(frozen=True)
class Ranking:
    """What makes one moment better than another: a number, and whether more of it is better. label: one word for it."""

    node: Node
    more: bool
    text: str

    @property
    def label(self) -> str:
        """The expression it is about, else the quantity: a word for file names."""
        names = [node.expression or node.op for node in self.node.walk() if _is_quantity(node)]
        return names[0]


def held(condition: str) -> tuple[str, dict[str, float | str], Ranking]:
    """SQL that starts with WITH and ends with a part `held`: one row per analyzed frame; its parameters; the ranking.

    held has the columns of frames, and holds (BOOLEAN, never NULL), value (DOUBLE, what moments are ranked by, NULL where it
    does not exist), piece (an unbroken part of the film) and counted_s (shown_s, at most what is usual before a gap).
    Raises ConditionError.
    """
    tree = parse(condition)
    ranking = ranked_by(tree)
    query = _Query()
    holds, value = query.sql(tree), query.sql(ranking.node)
    aggregates = "".join(f", {sql} AS {name}" for name, sql in query.aggregates.items())
    return f"""
WITH seen AS (SELECT frame{aggregates} FROM faces GROUP BY frame),{FRAMES},
held AS (
    SELECT pieces.*, ({holds}) IS TRUE AS holds, CAST({value} AS DOUBLE) AS value
    FROM pieces LEFT JOIN seen USING (frame) {" ".join(query.joins)}
)""", query.values | {"longest_s": LONGEST_S, "longest_steps": LONGEST_STEPS}, ranking


def ranked_by(tree: Node) -> Ranking:
    """The ranking that a condition implies.

    By what its first comparison about expressions compares, in its direction: the least happy face's probability for
    all:happy, the share for share(happy) > 0.8, the difference for mean(happy) > mean(sad). Without such a one by the first
    comparison of anything, else by the number of readable faces.
    """
    found = list(_rankings(tree, True))
    about_expressions = [one for one in found if any(node.op not in OF_FRAME or node.op == "positivity"
                                                     for node in one.node.walk() if _is_quantity(node))]
    return next(iter(about_expressions or found), Ranking(Node("usable"), True, "usable"))


def _rankings(node: Node, wanted: bool) -> Iterator[Ranking]:
    if node.op in RANKED_BY:
        name = RANKED_BY[node.op]
        yield Ranking(Node(name, expression=node.expression), wanted, f"{name}({node.expression})")
    elif node.op in ("<", "<=", ">", ">="):
        left, right = node.parts
        more = (node.op in (">", ">=")) == wanted
        if not _constant(left):
            yield Ranking(*((left, more, words(left)) if _constant(right) else
                            (Node("-", node.parts), more, f"{words(left)} - {words(right)}")))
        elif not _constant(right):
            yield Ranking(right, not more, words(right))
    elif node.op in LOGIC:
        for part in node.parts:
            yield from _rankings(part, wanted != (node.op == "not"))


def words(node: Node) -> str:
    """The node as a user writes it."""
    if node.op == "number":
        return f"{node.value:g}"
    if not _is_quantity(node):
        parts = [words(part) for part in node.parts]
        return f"({f' {node.op} '.join(parts)})" if len(parts) > 1 else f"{node.op} {parts[0]}"
    if node.op == "person":
        return f"person({node.value:g}).{node.expression}"
    if node.op.endswith(":"):
        return f"{node.op}{node.expression}"
    inside = [node.expression] if node.expression else []
    return f"{node.op}({', '.join([*inside, f'{node.value:g}s'] if node.value else inside)})" if inside else node.op


class _Query:
    """Gathers what a condition needs: values to bind, aggregates over a frame's faces, joins to earlier frames."""

    def __init__(self) -> None:
        self.values: dict[str, float | str] = {}
        self.aggregates: dict[str, str] = {}
        self.joins: list[str] = []

    def sql(self, node: Node) -> str:
        """The SQL of a node, in brackets where needed."""
        if node.op == "number":
            return self._bound(node.value)
        if _is_quantity(node):
            return self._quantity(node)
        parts = [self.sql(part) for part in node.parts]
        if node.op == "/":
            parts[1] = f"nullif({parts[1]}, 0)"
        sign = SIGNS.get(node.op, node.op)
        return f"({parts[0]} {sign} {parts[1]})" if len(parts) == 2 else f"({sign} {parts[0]})"

    def _quantity(self, node: Node) -> str:
        if node.op in GROUPS:
            return GROUPS[node.op].format(share=self._of_faces(Node("share", expression=node.expression)))
        if node.op == "mean":
            return f"CAST(pieces.{node.expression} AS DOUBLE)"
        if node.op == "change":
            return self._change(node)
        return f"({OF_FRAME[node.op]})" if node.op in OF_FRAME else self._of_faces(node)

    def _of_faces(self, node: Node) -> str:
        name = f"q{len(self.aggregates)}"
        value = {"share": node.expression, "person": node.value}.get(node.op)
        text = OF_FACES[node.op].format(name=node.expression, value=value and self._bound(value))
        self.aggregates[name] = f"CAST({text} AS DOUBLE)"
        return f"seen.{name}"

    def _change(self, node: Node) -> str:
        """The mean now minus that of the frame that was shown so many seconds before, in the same unbroken part."""
        then = f"then{len(self.joins)}"
        self.joins.append(f"ASOF LEFT JOIN (SELECT piece, time_s, {node.expression} AS mean FROM pieces) AS {then} ON "
                          f"{then}.piece = pieces.piece AND {then}.time_s <= pieces.time_s - {self._bound(node.value)} + 1e-6")
        return f"(CAST(pieces.{node.expression} AS DOUBLE) - {then}.mean)"

    def _bound(self, value: float | str) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def _is_quantity(node: Node) -> bool:
    return not node.parts and node.op != "number"


def _constant(node: Node) -> bool:
    return not any(map(_is_quantity, node.walk()))
