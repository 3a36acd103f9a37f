"""Names as people and programs write them: whether two are one and the same, and files of names that a user gives.

    number,name          the person of the report, and what to call them
    3,Anna Berg
    label,name           what the picture calls somebody, and what to call them
    Anna's iPad (2),Anna Berg
    Zoom's list of participants: names in the picture are read, and count where they are in the list
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path

from crowdmood.errors import CrowdmoodError
from crowdmood.speech.transcripts import decoded, read_participants

ALIKE = 0.8  # names that are liker than this may be one, misread or cut short
CLEARLY = 0.1  # by so much the likest must be liker than the next one
ADDED = re.compile(r"\s*[(\[][^()\[\]]*\b(?:he|him|his|she|her|hers|they|them|theirs|ze|zir|xe|any|host|co-host|guest|me)\b[^()\[\]]*[)\]]",
                   re.IGNORECASE)
CUT_SHORT = re.compile(r"\s*(?:\.\.\.?|…)$")
NO_READER = "names: to read them in the picture, rapidocr is needed; `pip install 'crowdmood[ocr]'`"
FORMS = "the columns number,name (persons of the report) or label,name (names in the picture), or Zoom's list of participants"


@dataclass(frozen=True)
class GivenNames:
    """A file of names. numbers: person -> name; labels: name in the picture -> name; listed: those who took part."""

    numbers: Mapping[int, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    listed: Sequence[str] = ()


def check_names(names: str) -> None:
    """Raise CrowdmoodError where `--names` asks for what cannot be done, before hours are spent. names: as in Options."""
    if names != "none" and not (names != "labels" and read_names(Path(names)).numbers) and find_spec("rapidocr") is None:
        raise CrowdmoodError(NO_READER)


def name_key(name: str) -> str:
    """What is the same for a name that is written in several ways: without case, pronouns in brackets and spare blanks."""
    return " ".join(ADDED.sub("", " ".join(unicodedata.normalize("NFKC", name).split())).casefold().split())


def likeness(one: str, other: str) -> float:
    """How like two names are, 0..1; 1: the same but for case, blanks, signs, accents and pronouns in brackets.

    A name that was cut short ('Christopher Lo...') is like what it may have been; a name is like itself with a word in
    brackets. 'iPad' and 'iPad (2)' are two.
    """
    keys = name_key(one), name_key(other)
    cut = [bool(CUT_SHORT.search(key)) for key in keys]
    bare = [bare_name(CUT_SHORT.sub("", key)) for key in keys]
    if bare[0] == bare[1]:
        return 1.0 if bare[0] else 0.0
    if any(is_cut and len(mine) >= 4 and theirs.startswith(mine) for is_cut, mine, theirs in zip(cut, bare, bare[::-1], strict=True)):
        return 0.95
    if any(re.sub(r"\s*\([^()\d]*\)$", "", key) == keys[1 - at] for at, key in enumerate(keys)):
        return 0.95
    if _numerals(bare[0]) != _numerals(bare[1]):
        return 0.0
    return SequenceMatcher(None, *bare, autojunk=False).ratio()


def bare_name(key: str) -> str:
    """The letters and digits alone, without their accents: what reading small pictures, and people, leave out first."""
    return re.sub(r"[\W_]+", "", "".join(one for one in unicodedata.normalize("NFKD", key.casefold()) if not unicodedata.combining(one)))


def likest(name: str, known: Sequence[str]) -> str | None:
    """The one of the known names that this one is; None where none is like it, or two are."""
    ranked = sorted(((likeness(name, one), one) for one in known), reverse=True)
    if not ranked or ranked[0][0] < ALIKE:
        return None
    best, next_best = ranked[0][0], next((alike for alike, one in ranked if name_key(one) != name_key(ranked[0][1])), 0.0)
    return ranked[0][1] if best - next_best >= CLEARLY or best == 1 > next_best else None


def read_names(path: Path) -> GivenNames:
    """Read a file of names; parted by commas, semicolons or tabs. Raises CrowdmoodError that says what is wrong with it."""
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise CrowdmoodError(f"names: {path} cannot be read: {error.strerror or error}") from error
    first = next((line for line in text.split("\n") if line.strip()), "")
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.split("\n"), delimiter=max(",;\t", key=first.count))]
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    head = [cell.lower() for cell in numbered[0][1]] if numbered else []
    head = ["number" if cell == "person" else cell for cell in head]
    if "name" in head and "number" in head:
        return GivenNames(numbers=_by_number(path, numbered[1:], (head.index("number"), head.index("name"))))
    if "name" in head and "label" in head:
        return GivenNames(labels=dict(_pairs(path, numbered[1:], (head.index("label"), head.index("name")))))
    if listed := read_participants(text):
        return GivenNames(listed=listed)
    if len(head) == 2 and head[0].isdecimal():
        return GivenNames(numbers=_by_number(path, numbered, (0, 1)))
    raise CrowdmoodError(f"names: {path} must have {FORMS}")


def _by_number(path: Path, rows: list[tuple[int, list[str]]], at: tuple[int, int]) -> dict[int, str]:
    pairs = _pairs(path, rows, at)
    if wrong := [number for number, _ in pairs if not number.isdecimal() or not int(number)]:
        raise CrowdmoodError(f"names: '{wrong[0]}' in {path} is no number of a person; `crowdmood report persons` lists them")
    return {int(number): name for number, name in pairs}


def _pairs(path: Path, rows: list[tuple[int, list[str]]], at: tuple[int, int]) -> list[tuple[str, str]]:
    """What is named, and the names; rows without a name are passed over."""
    if short := [number for number, row in rows if len(row) <= max(at)]:
        raise CrowdmoodError(f"names: line {short[0]} of {path} has too few columns")
    pairs = [(row[at[0]], row[at[1]]) for _, row in rows if row[at[1]]]
    keys = [key for key, _ in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise CrowdmoodError(f"names: '{twice}' is twice in {path}")
    return pairs


def _numerals(text: str) -> list[str]:
    return re.findall(r"\d+", text)
