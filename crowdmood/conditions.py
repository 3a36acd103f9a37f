"""Conditions on a moment, such as "share(happy) > 80 % and persons >= 4", parsed to a tree.

    condition   and, or, not, ( ); comparisons < <= > >= == != of numbers, each with + - * /
    numbers     0.8, 80 %, 2 s, 1:30 (minutes and seconds)
    quantities  of an analyzed frame: persons, faces, usable, coverage, positivity, valence, time; cut (true or false);
                share(E), mean(E), least(E), most(E), change(E, 2s) of an expression E; person(3).E;
                all:E, any:E, most:E (true where all, any, most readable faces show E)

Names are looked up here, so that a tree holds no text of the user's but numbers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from crowdmood.clock import parse_time
from crowdmood.errors import ConditionError
from crowdmood.labels import EXPRESSIONS

PLAIN = ("persons", "faces", "usable", "coverage", "positivity", "valence", "time", "cut")
OF_EXPRESSION = ("share", "mean", "least", "most", "change")
GROUPS = ("all", "any", "most")
OF_PERSON = (*EXPRESSIONS, "valence")
LOGIC = ("or", "and", "not")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
LEVELS = (("or",), ("and",), ("not",), COMPARISONS, ("+", "-"), ("*", "/"))
TRUTHS = {*LOGIC, *COMPARISONS, "cut", *(f"{group}:" for group in GROUPS)}
CHANGE_S = 2.0
LONGEST, DEEPEST, LARGEST = 1000, 40, 1e9
TOKEN = re.compile(r"""\s*(?: (?P<number>\d+(?::\d{1,2}){1,2}(?:\.\d+)? | \d+(?:\.\d+)? | \.\d+)(?:\ *(?P<unit>%|s\b))?
    | (?P<word>[^\W\d]\w*) | (?P<sign><=|>=|==|!=|[-+*/().,:<>]) | (?P<end>$) | (?P<odd>.))""", re.VERBOSE)


@dataclass(frozen=True)
class Node:
    """A part of a condition. op: 'number', an operator, or a quantity's name ('share', 'person', 'all:' ...).

    value: of a number; seconds of a change; number of a person. span: where it stands in the text.
    """

    op: str
    parts: tuple[Node, ...] = ()
    value: float | None = None
    expression: str | None = None
    span: tuple[int, int] = field(default=(0, 0), compare=False)

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false; otherwise it is a number."""
        return self.op in TRUTHS

    def walk(self) -> Iterator[Node]:
        """The node and all nodes below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def parse(text: str) -> Node:
    """The tree of a condition. Raises ConditionError, which points to the place, when it makes no sense."""
    if len(text) > LONGEST:
        raise ConditionError(f"the condition is longer than {LONGEST} characters")
    visible = "".join(" " if letter.isspace() else letter if letter.isprintable() else "\ufffd" for letter in text)
    return _Parser(visible).whole()


class _Parser:
    """Recursive descent. `token` is the next one, `last` the end of the one before it."""

    def __init__(self, text: str) -> None:
        self.text, self.last, self.depth = text, 0, 0
        self.token = TOKEN.match(text)

    def whole(self) -> Node:
        tree = self._level(0)
        if self.token["end"] is None:
            raise self._unexpected("'and', 'or' or the end")
        self._check(tree, True, "the condition")
        return tree

    def _level(self, level: int) -> Node:
        """What binds at least as tightly as LEVELS[level]."""
        if level == len(LEVELS):
            return self._signed()
        start = self._start()
        if LEVELS[level] == ("not",):
            return self._operation("not", start, self._deeper(level)) if self._take("not") else self._level(level + 1)
        tree = self._level(level + 1)
        while sign := self._take(*LEVELS[level]):
            tree = self._operation(sign, start, tree, self._level(level + 1))
        return tree

    def _signed(self) -> Node:
        start = self._start()
        if self._take("-"):
            return self._operation("-", start, self._deeper(len(LEVELS)))
        if self._take("("):
            node = self._deeper(0)
            self._expect(")")
        elif self.token["number"]:
            node = Node("number", value=self._number())
        elif self.token["word"] and self._word() not in LOGIC:
            node = self._quantity()
        else:
            raise self._unexpected("a number or a quantity such as share(happy)")
        return replace(node, span=(start, self.last))

    def _quantity(self) -> Node:
        name, after = self._word(), TOKEN.match(self.text, self.token.end())["sign"]
        if after == ":":
            self._name("group", GROUPS)
            self._expect(":")
            return Node(f"{name}:", expression=self._name("expression", EXPRESSIONS))
        self._name("quantity", (*OF_EXPRESSION, "person", *PLAIN))
        if name in PLAIN:
            return Node(name)
        self._expect("(")
        if name == "person":
            number = self._number(whole=True)
            self._expect(")")
            self._expect(".")
            return Node(name, value=number, expression=self._name("expression", OF_PERSON))
        expression = self._name("expression", EXPRESSIONS)
        seconds = None if name != "change" else self._number() if self._take(",") else CHANGE_S
        self._expect(")")
        return Node(name, value=seconds, expression=expression)

    def _name(self, kind: str, known: Sequence[str]) -> str:
        """Take a word that is one of the known."""
        if not self.token["word"]:
            raise self._unexpected(f"an expression ({', '.join(known)})")
        name = self._word()
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        if kind == "quantity" and name in EXPRESSIONS:
            hint = f"for the expression write share({name}), mean({name}) or all:{name}"
        if name not in known:
            raise self._error(f"there is no {kind} '{name}'; {hint}")
        self._advance()
        return name

    def _number(self, whole: bool = False) -> float:
        text, unit = self.token["number"], self.token["unit"]
        if not text or whole and not (text.isdecimal() and unit is None):
            raise self._unexpected("a whole number" if whole else "a number")
        try:
            value = parse_time(text) if ":" in text else float(text)
        except ValueError as error:
            raise self._error(str(error)) from error
        if value > LARGEST:
            raise self._error("this number is too large")
        self._advance()
        return value / 100 if unit == "%" else value

    def _operation(self, sign: str, start: int, *parts: Node) -> Node:
        for part in parts:
            self._check(part, sign in LOGIC, f"'{sign}'")
        return Node(sign, parts, span=(start, self.last))

    def _check(self, node: Node, truth: bool, by: str) -> None:
        words = self.text[slice(*node.span)]
        if truth and not node.is_truth:
            raise self._error(f"{words} is a number, where {by} needs something true or false: compare it, such as "
                              f"{words} > 0.5", node.span)
        if node.is_truth and not truth:
            raise self._error(f"{words} is true or false, where {by} needs a number", node.span)

    def _deeper(self, level: int) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error("this is nested too deeply")
        node = self._level(level)
        self.depth -= 1
        return node

    def _start(self) -> int:
        return self.token.start(self.token.lastgroup if self.token["number"] is None else "number")

    def _word(self) -> str:
        return self.token[0].strip().lower()

    def _take(self, *texts: str) -> str | None:
        text = self._word()
        if text in texts:
            self._advance()
        return text if text in texts else None

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected(f"'{text}'")

    def _advance(self) -> None:
        self.last = self.token.end()
        self.token = TOKEN.match(self.text, self.last)

    def _unexpected(self, wanted: str) -> ConditionError:
        found = f"not '{self.token[0].strip()}'" if self.token["end"] is None else "where it ends"
        hint = "; equal is ==" if self.token["odd"] == "=" else ""
        return self._error(f"{wanted} is needed here, {found}{hint}")

    def _error(self, sentence: str, span: tuple[int, int] | None = None) -> ConditionError:
        start, end = span or (self._start(), self.token.end())
        return ConditionError(f"{sentence} (character {start + 1})\n  {self.text}\n  {' ' * start}{'^' * max(end - start, 1)}")
