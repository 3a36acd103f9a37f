"""Joins: whose tile is whose across changes of layout - by the name's picture, else by what is around the face, else by order.

A wrong join makes two people one; a missing one makes one person two, and that is the smaller error. So a look or
an order counts only where nobody else could be meant. A name's picture changes with the signs beside it, so a look
that is nearly the same says more than a name that differs - unless the two names were ever seen side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from crowdmood.layout.finding import ROLES
from crowdmood.layout.marks import LABEL_SAME, LOOK_SAME, label_distance, look_distance
from crowdmood.meeting.live import SHARE, samples
from crowdmood.meeting.name_pictures import LABEL_OTHER, NamePictures
from crowdmood.meeting.segments import Segments, TileRows

TILE, STAGE = ROLES.index("tile"), ROLES.index("stage")
LOOK_SURE = 0.16 * LOOK_SAME  # who looks so alike is the same, though the name differs: signs beside a name change its picture
FEWEST_RIVALS = 4     # tiles in a segment, of which only one looks like somebody just before
LOOK_NEAR = 0.35 * LOOK_SAME  # one camera's picture keeps to this for minutes; two differ by twice as much nearly always
LOOK_RIVAL = 0.01     # a look must fit so much, and twice, better than that of anybody else
UNSTEADY = 3          # pictures of a name in one segment: it is written upon what moves
NAME_SAMPLES, VARIANT_SHARE = 40, 0.1  # rows whose names are read; pictures of a name seen in fewer are mistakes
MOST_MEMORIES = 8     # names, and looks, by which a participant is remembered
EDGE_ROWS = 5         # rows at a segment's ends that say how a tile looked just then
BY_ORDER = {True: 0.6, False: 0.4}  # how sure an order is, where the look agrees, and where the camera was switched


@dataclass(frozen=True)
class Card:
    """What a tile of a segment is known by. label: uint8 (v, LABEL_BYTES), pictures of the name. look: uint8 (l, LOOK_BYTES), at its
    beginning, in the middle, at its end. live: whether the camera was on at its beginning and at its end, -1 unknown."""

    label: np.ndarray
    look: np.ndarray
    live: tuple[int, int]


@dataclass
class Participant:
    """Somebody met before: pictures of their name, their looks, and their card and place in the segment where they were last.
    unsteady: their name was read in many ways in one segment, so that it says little."""

    label: np.ndarray
    look: np.ndarray
    last: Card
    segment: int
    position: int
    unsteady: bool = False

    def remember(self, card: Card, segment: int, position: int) -> None:
        self.label, self.look = _with(self.label, card.label, label_distance), _with(self.look, card.look, look_distance)
        self.unsteady |= len(card.label) >= UNSTEADY
        if self.segment < segment:  # a stage that shows them once more does not change their place in the row
            self.last, self.segment, self.position = card, segment, position


@dataclass(frozen=True)
class Joined:
    """participant: int64 (t,) 0.., -1 for shared screens. by: object (t,), 'label', 'look', 'order', 'new' or None where
    there is none or nobody was known yet. confidence: float32 (t,) 0..1, NaN where `by` is None.
    role: int8 (t,); what was taken for a shared screen is a stage if it looks like a participant's camera."""

    participant: np.ndarray
    by: np.ndarray
    confidence: np.ndarray
    role: np.ndarray


@dataclass
class _Meeting:
    """The joins so far."""

    cards: list[Card]
    pictures: NamePictures
    participant: np.ndarray
    by: np.ndarray
    confidence: np.ndarray
    known: list[Participant] = field(default_factory=list)

    def join(self, tile: int, participant: int, by: str, confidence: float) -> None:
        self.participant[tile], self.by[tile], self.confidence[tile] = participant, by, confidence


def join(tiles: TileRows, found: Segments, live: np.ndarray, pictures: NamePictures) -> Joined:
    """Say whose tile each is. live: int8 (k,), see `tile_live.live_rows`.

    In a segment nobody has two tiles, but for the stage, which may show somebody who has a small tile as well.
    """
    role = found.role.copy()
    count = len(found.segment)
    cards = _cards(tiles, found, live)
    meeting = _Meeting(cards, pictures.agreed([card.label for card in cards]), np.full(count, -1, np.int64), np.full(count, None, object),
                       np.full(count, np.nan, np.float32))
    for segment in np.unique(found.segment):
        here = np.flatnonzero(found.segment == segment)
        small, large, shared = (here[np.isin(role[here], roles)] for roles in ((TILE,), (STAGE,), (SHARE,)))
        for places in (small, large):
            if len(places):
                _join_segment(meeting, places, int(segment), places is small)
        for tile in shared:
            if 1 in meeting.cards[tile].live and _join_stage(meeting, tile, int(segment)):
                role[tile] = STAGE
    _reunite(meeting, found)
    first = found.segment == found.segment[:1]
    meeting.by[first], meeting.confidence[first] = None, np.nan
    return Joined(meeting.participant, meeting.by, meeting.confidence, role)


def _cards(tiles: TileRows, found: Segments, live: np.ndarray) -> list[Card]:
    nothing = Card(tiles.label[:0], tiles.look[:0], (-1, -1))
    cards = [nothing] * len(found.segment)
    for tile, rows in found.rows():
        ends = rows[:EDGE_ROWS], samples(rows, 4 * EDGE_ROWS), rows[-EDGE_ROWS:]
        looks = np.stack([tiles.look[part[_medoid(look_distance, tiles.look[part])]] for part in ends])
        cards[tile] = Card(names_of(tiles.label[rows]), looks, (int(live[rows[0]]), int(live[rows[-1]])))
    return cards


def _medoid(distance, rows: np.ndarray) -> int:
    """Return the row that is nearest to all others."""
    return int(distance(rows, rows).sum(axis=1).argmin())


def names_of(label: np.ndarray) -> np.ndarray:
    """Return uint8 (v, LABEL_BYTES): the pictures of the name in a tile. A mute sign, or a speaker frame, gives another."""
    left, kept = label[samples(np.flatnonzero(label.any(axis=1)), NAME_SAMPLES)], [label[:0]]
    least = max(min(2, len(label)), VARIANT_SHARE * len(left))
    while len(left):
        same = label_distance(left, left) <= LABEL_SAME
        most = int(same.sum(axis=1).argmax())
        if same[most].sum() < least:
            break
        kept.append(left[most:most + 1])
        left = left[~same[most]]
    return np.concatenate(kept)


def _with(memory: np.ndarray, seen: np.ndarray, distance) -> np.ndarray:
    """Return the memory with what was seen, newest last; what is nearly the same is not kept twice."""
    for row in seen:
        if len(memory):
            memory = memory[distance(memory, row[None])[:, 0] > LOOK_SAME / 4]
        memory = np.concatenate([memory, row[None]])
    return memory[-MOST_MEMORIES:]


def _join_segment(meeting: _Meeting, here: np.ndarray, segment: int, strip: bool) -> None:
    """Join the tiles `here`, row by row, with the participants; who is left is new. strip: they are small tiles in order."""
    cards, known = [meeting.cards[tile] for tile in here], meeting.known
    match, just = np.full(len(here), -1, np.int64), _just(known, segment)
    name, look = _names_apart(cards, known), _looks_apart(cards, known, just)
    others = _others(cards, known, meeting.pictures) & (look > LOOK_SURE / 3)  # a name may be misread as another's
    seen_together = just & (len(here) >= FEWEST_RIVALS)  # beside so many a look says whose it is, whatever is read
    unsteady = np.array([person.unsteady for person in known], bool)
    open_name = (name <= LABEL_OTHER) | np.isinf(name) | unsteady
    plain = (open_name | (look <= LOOK_SURE)) & ~others
    same_name = np.where(name <= LABEL_SAME, name, np.inf)
    for by, apart, pairs in (("label", np.where((look <= LOOK_NEAR) & (name <= LABEL_OTHER), name + look, np.inf), _pairs),
                             ("look", np.where(just & (plain | seen_together), look, np.inf), _clear), ("label", same_name, _pairs),
                             ("look", np.where(plain & ~just, look, np.inf), _clear)):
        for tile, person in pairs(np.where(_free(match, len(known)), apart, np.inf)):
            match[tile] = person
            meeting.join(here[tile], person, by, _confidence(name[tile, person], look[tile, person]))
    for tile, person in _by_order(match, known, segment) if strip else ():
        alike = look[tile, person] <= LOOK_NEAR
        if open_name[tile, person] and not others[tile, person] and (alike or _switched(known[person].last, cards[tile])):
            match[tile] = person
            meeting.join(here[tile], person, "order", BY_ORDER[bool(alike)])
    for place, card in enumerate(cards):
        if match[place] < 0:
            match[place] = len(known)
            meeting.join(here[place], match[place], "new", 1.0 if len(card.label) else 0.5)
            known.append(Participant(card.label[:0], card.look[:0], card, -2, -1))
        known[match[place]].remember(card, segment, place if strip else -1)


def _reunite(meeting: _Meeting, found: Segments) -> None:
    """Join who was new in a segment and gone after it with who was missing in it, known before, and there after it, if they look
    the same just after: their name was misread."""
    at = [set(found.segment[meeting.participant == number].tolist()) for number in range(len(meeting.known))]
    lonely = [tile for tile in np.flatnonzero(meeting.by == "new") if len(at[meeting.participant[tile]]) == 1]
    for segment in np.unique(found.segment[lonely]) if lonely else ():
        here, after = (np.flatnonzero((found.segment == one) & (found.role == TILE)) for one in (segment, segment + 1))
        look = [look_distance(meeting.cards[tile].look[-1:], meeting.cards[one].look[:1]) if len(meeting.cards[tile].look)
                and len(meeting.cards[one].look) else np.ones((1, 1)) for tile in here for one in after]
        for row, column in _clear(np.reshape(look, (len(here), len(after)))) if len(look) else ():
            tile, same, apart = here[row], meeting.participant[after[column]], look[row * len(after) + column].item()
            missing = min(at[same]) < segment and segment not in at[same]
            if tile in lonely and missing and meeting.cards[tile].live[1] == 1 and apart <= LOOK_NEAR / 2:
                meeting.join(tile, same, "look", _confidence(np.inf, apart))


def _join_stage(meeting: _Meeting, tile: int, segment: int) -> bool:
    """Join a tile with somebody known whom it looks like, if there is anybody."""
    card, known = meeting.cards[tile], meeting.known
    look = _looks_apart([card], known, _just(known, segment))
    for _, person in _clear(look):
        meeting.join(tile, person, "look", _confidence(0.0, look[0, person]))
        known[person].remember(card, segment, -1)
    return meeting.participant[tile] >= 0


def _confidence(name: float, look: float) -> float:
    """Return 0.25..1: name and look speak for a join or against it; what was not seen says half as much as a bad fit."""
    doubts = [min(apart / same, 1.5) if np.isfinite(apart) else 0.75 for apart, same in ((name, LABEL_SAME), (look, LOOK_NEAR))]
    return 1.0 - 0.25 * sum(doubts)


def _just(known: list[Participant], segment: int) -> np.ndarray:
    """Return bool (p,): who was in the segment before, so that their tile at its end can be compared."""
    return np.array([person.segment == segment - 1 and len(person.last.look) > 0 for person in known], bool)


def _others(cards: list[Card], known: list[Participant], pictures: NamePictures) -> np.ndarray:
    """Return bool (c, p): whose names were seen side by side, so that they are two people."""
    return np.array([[pictures.strangers(card.label, person.label) for person in known] for card in cards], bool).reshape(len(cards), -1)


def _names_apart(cards: list[Card], known: list[Participant]) -> np.ndarray:
    """Return name distances (c, p); inf where one of both was never read."""
    apart = np.full((len(cards), len(known)), np.inf)
    owner = np.repeat(np.arange(len(known)), [len(person.label) for person in known])
    for i, card in enumerate(cards):
        if len(card.label) and len(owner):
            np.minimum.at(apart[i], owner, label_distance(card.label, np.concatenate([p.label for p in known])).min(axis=0))
    return apart


def _looks_apart(cards: list[Card], known: list[Participant], just: np.ndarray) -> np.ndarray:
    """Return look distances (c, p), just before and after the boundary where possible; inf where nothing can be said."""
    apart = np.full((len(cards), len(known)), np.inf)
    looks = [person.last.look[-1:] if now else person.look for person, now in zip(known, just, strict=True)]
    owner = np.repeat(np.arange(len(known)), [len(look) for look in looks])
    for i, card in enumerate(cards):
        if len(card.look) and len(owner):
            far = look_distance(card.look, np.concatenate(looks))
            np.minimum.at(apart[i], owner, np.where(just[owner], far[0], far.min(axis=0)))
            if 1 not in card.live and 0 in card.live:  # avatars look alike: only the moment tells whose it is
                apart[i, ~just] = np.inf
    return apart


def _pairs(cost: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of the cheapest assignment; infinite ones are none."""
    possible = np.isfinite(cost)
    rows, columns = linear_sum_assignment(np.where(possible, cost, 1e3))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if possible[r, c]]


def _free(match: np.ndarray, count: int) -> np.ndarray:
    """Return bool (c, p): pairs of which neither is joined yet."""
    return (match < 0)[:, None] & ~np.isin(np.arange(count), match)[None]


def _clear(look: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs that look alike while no other tile looks like that person and nobody else like that tile."""
    pairs = []
    for tile, person in _pairs(np.where(look <= LOOK_NEAR, look, np.inf)):
        rival = min(np.delete(look[tile], person).min(initial=np.inf), np.delete(look[:, person], tile).min(initial=np.inf))
        if max(look[tile, person] + LOOK_RIVAL, 2 * look[tile, person]) <= rival:
            pairs.append((tile, person))
    return pairs


def _by_order(match: np.ndarray, known: list[Participant], segment: int) -> list[tuple[int, int]]:
    """Return pairs that stand between the same neighbours as in the segment before, where equally many do."""
    before = sorted((person.position, number) for number, person in enumerate(known)
                    if person.segment == segment - 1 and person.position >= 0)
    order = [number for _, number in before]
    fixed = [-1, *(i for i in range(len(match)) if match[i] in order), len(match)]
    place = [-1, *(order.index(match[i]) for i in fixed[1:-1]), len(order)]
    pairs = []
    for i in range(len(fixed) - 1):
        tiles = [tile for tile in range(fixed[i] + 1, fixed[i + 1]) if match[tile] < 0]
        between = order[place[i] + 1:max(place[i + 1], 0)]
        left = [number for number in between if number not in match]
        if place[i] < place[i + 1] and len(tiles) == len(left):
            pairs += list(zip(tiles, left, strict=True))
    return pairs


def _switched(before: Card, now: Card) -> bool:
    """Whether the camera went on or off between, so that a different look means nothing."""
    return -1 not in (before.live[1], now.live[0]) and before.live[1] != now.live[0]
