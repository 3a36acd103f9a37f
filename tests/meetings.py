"""Generated meetings: recordings as Zoom leaves them, with the exact truth beside them. Everything follows from a Spec.

    make(Spec(seed=3), folder) -> Meeting: the video, transcript, timeline, chat, and the Truth
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.meeting_files import CLOCK, write_side_files
from tests.meeting_film import Film, cameras
from tests.meeting_people import drawn_actor, real_actors
from tests.meeting_pictures import photographs

ROOT = Path(__file__).parent.parent
MEDIA = Path(os.environ.get("CROWDMOOD_MEDIA") or ROOT.parent / "shared" / "media")
DATA = Path(os.environ.get("CROWDMOOD_DATA") or ROOT.parent / "shared" / "data")
NAMES = ("Ana Ruiz", "Björn Lund", "Chen Wei", "Dr. Dana Fox", "Erik", "Fatima Zahra", "Grace O'Neil", "Hiro T.", "iPad (2)",
         "José Álvarez", "Kofi Mensah", "Lena", "Marta Kowalska", "Nils Berg", "Olu A.", "Priya Nair", "Quentin B", "Rosa", "QUARK",
         "Tomás Vega", "Uma Devi", "Viktor", "Wendy Zhao", "Xenia", "Yusuf Demir", "Zoë Hart")
EVENTS = ("join", "leave", "off", "on", "swap", "sort")


@dataclass(frozen=True)
class Spec:
    """What to generate.

    people: participants at the beginning (1..49); events: how many of joins, leaves, cameras off and on, and changes of order;
    layouts: the layouts gone through in equal parts, of 'gallery', 'speaker' (film strip above), 'share' (the speaker's
    thumbnail over a shared screen), 'side by side' (shared screen, gallery right of it); gutter: pixels between tiles;
    faces: 'drawn' or 'real' (needs ../shared); off: cameras off at the beginning, share; rooms: meeting rooms with three people;
    far: small faces (20..30 px in a 49-tile gallery at 1080p); fps: mean, the frames' times vary; hold: a
    change is shown at the earliest so many seconds after the one before, as Zoom does with a stage that has just changed.
    """

    seed: int = 0
    people: int = 4
    seconds: float = 24.0
    size: tuple[int, int] = (1280, 720)
    fps: float = 4.0
    hold: float = 1.0
    layouts: tuple[str, ...] = ("gallery",)
    events: int = 4
    kinds: tuple[str, ...] = EVENTS
    gutter: int = 0
    background: int = 0
    rounded: bool = False
    frame_colour: tuple[int, int, int] = (35, 217, 89)
    bars: bool = True
    mute_marks: bool = False
    clock: bool = False
    off: float = 0.15
    rooms: int = 0
    far: bool = False
    faces: str = "drawn"
    crf: int = 28


@dataclass(frozen=True)
class TrueTile:
    """box: x1 y1 x2 y2 px; who: participant, -1 on a shared screen; kind: 'camera', 'name', 'initials', 'photo', 'share'."""

    box: tuple[int, int, int, int]
    role: str
    who: int
    kind: str


@dataclass(frozen=True)
class TrueSegment:
    """Constant tiles from one moment to another; moved: boxes or people differ from before (else only a camera or name does)."""

    start_s: float
    end_s: float
    layout: str
    tiles: tuple[TrueTile, ...]
    moved: bool


@dataclass(frozen=True)
class Speech:
    """Somebody speaks."""

    start_s: float
    end_s: float
    who: int
    text: str


@dataclass(frozen=True)
class Truth:
    """times: seconds of all frames; faces: rows (frame, x1, y1, x2, y2, person) of live faces; pictured: (frame, x1..y2) of
    photographs; persons: for each participant the persons before their camera, 0..; the rest as their names say."""

    times: np.ndarray
    segments: tuple[TrueSegment, ...]
    speeches: tuple[Speech, ...]
    names: tuple[str, ...]
    persons: tuple[tuple[int, ...], ...]
    faces: np.ndarray = field(repr=False)
    pictured: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Meeting:
    """Where a generated meeting lies: folder with video, transcript (VTT), timeline (JSON), chat (TXT)."""

    folder: Path
    video: Path
    truth: Truth


def gallery_boxes(count: int, area: tuple[int, int, int, int], gutter: int = 0) -> list[tuple[int, int, int, int]]:
    """Zoom's grid: as square as it can be, 16:9, centred, the last row centred too."""
    if not count:
        return []
    x1, y1, x2, y2 = area
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    wide = min((x2 - x1 - (columns + 1) * gutter) / columns, (y2 - y1 - (rows + 1) * gutter) / rows * 16 / 9)
    high = wide * 9 / 16
    boxes = []
    top = (y1 + y2 - rows * high - (rows - 1) * gutter) / 2
    for number in range(count):
        row, column = divmod(number, columns)
        in_row = min(columns, count - row * columns)
        left = (x1 + x2 - in_row * wide - (in_row - 1) * gutter) / 2 + column * (wide + gutter)
        y = top + row * (high + gutter)
        boxes.append((round(left), round(y), round(left + wide), round(y + high)))
    return boxes


def tiles_of(spec: Spec, layout: str, order: list[int], speaker: int, kinds: dict[int, str]) -> tuple[TrueTile, ...]:
    """The tiles of a layout. order: participants as they are shown; speaker: who has the stage; kinds: of their tiles."""
    width, height = spec.size

    def of(boxes: list, people: list[int]) -> list[TrueTile]:
        return [TrueTile(box, "tile", who, kinds[who]) for box, who in zip(boxes, people, strict=False)]

    if layout == "gallery":
        return tuple(of(gallery_boxes(len(order), (0, 0, width, height), spec.gutter), order))
    if layout == "speaker":
        others = [who for who in order if who != speaker][:5]
        strip = round(height / 6)
        wide, gap = round(strip * 16 / 9), max(spec.gutter, 4)
        left = (width - len(others) * (wide + gap) + gap) // 2
        boxes = [(left + k * (wide + gap), 0, left + k * (wide + gap) + wide, strip) for k in range(len(others))]
        (stage,) = gallery_boxes(1, (0, strip + gap, width, height))
        return (TrueTile(stage, "stage", speaker, kinds[speaker]), *of(boxes, others))
    if layout == "share":
        wide = round(width / 6)
        return (TrueTile((0, 0, width, height), "share", -1, "share"),
                *of([(width - wide, 0, width, round(wide * 9 / 16))], [speaker]))
    across = round(width * 0.75)
    (shared,) = gallery_boxes(1, (0, 0, across, height))
    wide, gap = width - across - 8, max(spec.gutter, 4)
    high = round(wide * 9 / 16)
    shown = order[: height // (high + gap)]
    top = (height - len(shown) * (high + gap) + gap) // 2
    column = [(across + 4, top + k * (high + gap), across + 4 + wide, top + k * (high + gap) + high) for k in range(len(shown))]
    return (TrueTile(shared, "share", -1, "share"), *of(column, shown))


def frame_times(spec: Spec, rng: np.random.Generator) -> np.ndarray:
    """Seconds of the frames: uneven steps in milliseconds, a longer break now and then."""
    steps = rng.uniform(0.5, 1.5, int(spec.seconds * spec.fps) - 1) / spec.fps
    longer = rng.random(len(steps)) < 0.02
    steps[longer] = np.minimum(3 * steps[longer], 1.0)
    return np.round(np.append(0, np.cumsum(steps)), 3)


def speeches_of(spec: Spec, rng: np.random.Generator, there: list[list[tuple[float, float]]]) -> tuple[Speech, ...]:
    """Turns of 2 to 7 s, one after the other, of people who are there all the while."""
    speeches: list[Speech] = []
    at = float(rng.uniform(0.3, 1.5))
    while at < spec.seconds - 2.5:
        end = min(at + float(rng.uniform(2, 7)), spec.seconds - 0.3)
        able = [who for who, stays in enumerate(there) if any(a <= at - 0.5 and b >= end + 0.5 for a, b in stays)]
        if able:
            last = speeches[-1].who if speeches else -1
            who = int(rng.choice([who for who in able if who != last] or able))
            text = rng.choice(["We should look at the plan", "What do you think about it", "Yes, that is right",
                               "Can everybody see my screen", "Thank you all for coming", "The costs went up again"])
            text = str(text)
            speeches.append(Speech(round(at, 2), round(end, 2), who, text + ("?" if text[:2] in ("Wh", "Ca") else ".")))
        at = end + float(rng.uniform(0.2, 1.5))
    return tuple(speeches)


@dataclass
class _State:
    """Who is shown, in which order, with which camera off; joined: how many participants there have ever been."""

    order: list[int]
    off: set[int]
    joined: int


def _happens(kind: str, state: _State, rng: np.random.Generator) -> None:
    """One event; where it cannot be (nobody's camera is off...), the order changes."""
    on = [who for who in state.order if who not in state.off]
    if kind == "join" and len(state.order) < 49:
        state.order.insert(int(rng.integers(len(state.order) + 1)), state.joined)
        state.joined += 1
    elif kind == "leave" and len(state.order) > 2:
        state.order.remove(rng.choice(state.order))
    elif kind == "off" and len(on) > 2:
        state.off.add(int(rng.choice(on)))
    elif kind == "on" and state.off & set(state.order):
        state.off.remove(int(rng.choice(sorted(state.off & set(state.order)))))
    elif kind == "swap" and len(state.order) > 1:
        a, b = rng.choice(len(state.order), 2, replace=False)
        state.order[a], state.order[b] = state.order[b], state.order[a]
    else:
        rng.shuffle(state.order)


def script(spec: Spec, rng: np.random.Generator) -> tuple[list[tuple[float, str, list[int], set[int]]], int]:
    """What happens: (from when, layout, order, off), and how many participants there are in all."""
    off = {who for who in range(spec.people) if rng.random() < spec.off and who > 1}
    state = _State(list(range(spec.people)), off, spec.people)
    moments = np.linspace(0, spec.seconds, spec.events + len(spec.layouts) + 1)[1:-1]
    moments = moments + rng.uniform(-0.2, 0.2, len(moments)) * spec.seconds / (len(moments) + 1)
    turns = np.round(np.linspace(0, len(moments), len(spec.layouts) + 1))[1:-1].astype(int)  # these change the layout
    layout, lines = 0, [(0.0, spec.layouts[0], list(state.order), set(state.off))]
    for number, moment in enumerate(moments):
        if number in turns:
            layout += 1
        else:
            _happens(str(rng.choice(spec.kinds)), state, rng)
        lines.append((float(moment), spec.layouts[layout], list(state.order), set(state.off)))
    return lines, state.joined


def segments_of(spec: Spec, lines: list, speeches: tuple[Speech, ...], times: np.ndarray,
                off_kinds: list[str]) -> tuple[TrueSegment, ...]:
    """The segments: boundaries are the first frames that show something new."""
    shown: list[TrueSegment] = []
    speaker = lines[0][2][0]
    for at in times:
        _, layout, order, off = next(line for line in reversed(lines) if line[0] <= at)
        speaker = next((speech.who for speech in speeches if speech.start_s <= at < speech.end_s), speaker)
        speaker = speaker if speaker in order else order[0]
        tiles = tiles_of(spec, layout, order, speaker, {who: off_kinds[who] if who in off else "camera" for who in order})
        held = bool(shown) and at - shown[-1].start_s < spec.hold
        if not shown or not held and (shown[-1].tiles != tiles or shown[-1].layout != layout):
            moved = not shown or [(t.box, t.who) for t in shown[-1].tiles] != [(t.box, t.who) for t in tiles]
            if shown:
                shown[-1] = TrueSegment(shown[-1].start_s, float(at), shown[-1].layout, shown[-1].tiles, shown[-1].moved)
            shown.append(TrueSegment(float(at), float(times[-1]), layout, tiles, moved))
    return tuple(shown)


def stays_of(lines: list, people: int, seconds: float) -> list[list[tuple[float, float]]]:
    """For each participant, when they are in the meeting."""
    ends = [line[0] for line in lines[1:]] + [seconds]
    stays: list[list[tuple[float, float]]] = [[] for _ in range(people)]
    for (start, _, order, _), end in zip(lines, ends, strict=True):
        for who in order:
            if stays[who] and stays[who][-1][1] == start:
                start_before = stays[who].pop()[0]
                stays[who].append((start_before, end))
            else:
                stays[who].append((start, end))
    return stays


def make(spec: Spec, folder: Path) -> Meeting:
    """Generate a meeting into a folder. Raises FileNotFoundError where `faces` are real and ../shared is not there."""
    rng = np.random.default_rng(spec.seed)
    times = frame_times(spec, rng)
    lines, people = script(spec, rng)
    speeches = speeches_of(spec, rng, stays_of(lines, people, spec.seconds))
    off_kinds = [str(kind) for kind in rng.choice(["name", "initials", "photo"], people)]
    segments = segments_of(spec, lines, speeches, times, off_kinds)
    names = tuple(NAMES[k % len(NAMES)] + (f" {k // len(NAMES) + 1}" if k >= len(NAMES) else "") for k in range(people))
    heads = [3 if who < spec.rooms else 1 for who in range(people)]
    film = Film(spec, names, cameras(_actors(spec, sum(heads), rng), heads, spec.far, photographs(MEDIA), rng), rng)
    folder.mkdir(parents=True, exist_ok=True)
    width, height = spec.size
    video = folder / f"GMT{CLOCK}_Recording_gallery_{width}x{height}.mp4"
    faces, pictured = film.write(video, times, segments, speeches)
    truth = Truth(times, segments, speeches, names, film.persons, faces, pictured)
    write_side_files(folder, truth)
    return Meeting(folder, video, truth)


def _actors(spec: Spec, count: int, rng: np.random.Generator) -> list:
    if spec.faces == "drawn":
        return [drawn_actor(rng) for _ in range(count)]
    known = real_actors(MEDIA, DATA, 106)
    if len(known) < count:
        raise FileNotFoundError(f"{MEDIA} and {DATA} have {len(known)} faces, {count} are needed")
    return [known[k] for k in rng.permutation(len(known))[:count]]
