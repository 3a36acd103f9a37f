"""Mutated recordings against the product: `python tests/fuzz_containers.py --cases 2000`.

Each case is a made clip (or, with --media, a real one) in which bits were flipped, stretches zeroed, cut out, repeated or
taken from another file, or sizes and other numbers of its headers changed. This process probes and decodes a few seconds
of it, and every --whole-th case analyzes it as a whole; it must get rows or one sentence, in time, and live on.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 prints its settings

from crowdmood.errors import CrowdmoodError
from crowdmood.video import Sampling, decode, probe, select
from tests.videos import Clip, write

MEDIA = Path(os.environ.get("CROWDMOOD_MEDIA", Path(__file__).resolve().parents[2] / "shared" / "media"))
LARGEST_SOURCE = 3_000_000
SPAN_S = 2.0
LIMIT_S = 60.0  # per case; the watchdog's own patience is half of it
HEADER = 4096
NUMBERS = (0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
CLIPS = {
    "h264.mp4": Clip(numbers=range(30)),
    "fragments.mp4": Clip(numbers=range(30), container={"movflags": "frag_keyframe+empty_moov"}),
    "hevc.mp4": Clip(codec="libx265", numbers=range(16), options={"x265-params": "log-level=none", "g": "8"}),
    "h264.mkv": Clip(numbers=range(30)),
    "vp9.mkv": Clip(codec="libvpx-vp9", numbers=range(16), options={"deadline": "realtime", "cpu-used": "8"}),
    "vp8.webm": Clip(codec="libvpx", numbers=range(16), options={"deadline": "realtime"}),
    "av1.mkv": Clip(codec="libsvtav1", numbers=range(12), options={"preset": "12"}),
    "mjpeg.avi": Clip(codec="mjpeg", pixel_format="yuvj420p", numbers=range(16), options={}),
    "mpeg4.avi": Clip(codec="mpeg4", numbers=range(30)),
    "mpeg2.ts": Clip(codec="mpeg2video", numbers=range(30), options={"g": "12"}),
    "h264.ts": Clip(numbers=range(30)),
    "mpeg1.mpg": Clip(codec="mpeg1video", numbers=range(30), options={"g": "12"}),
    "mpeg4.mov": Clip(codec="mpeg4", numbers=range(30)),
    "png.mov": Clip(codec="png", pixel_format="rgb24", numbers=range(8), options={}),
    "flv1.flv": Clip(codec="flv", numbers=range(30), options={"g": "12"}),
    "wmv2.asf": Clip(codec="wmv2", numbers=range(30), options={"g": "12"}),
    "animation.gif": Clip(codec="gif", pixel_format="rgb8", numbers=range(12), options={}),
    "raw.h264": Clip(numbers=range(30)),
    "huffyuv.avi": Clip(codec="huffyuv", pixel_format="yuv422p", numbers=range(6), options={}),
}


def flip_bits(data: bytearray, other: bytes, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 3, 20, 200))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def flip_header_bits(data: bytearray, other: bytes, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 2, 5))):
        data[dice.randrange(min(len(data), HEADER))] ^= 1 << dice.randrange(8)


def change_numbers(data: bytearray, other: bytes, dice: random.Random) -> None:
    """Lengths, counts, widths: whatever stands there."""
    for _ in range(dice.choice((1, 2, 4))):
        width = dice.choice((1, 2, 4))
        at = dice.randrange(max(min(len(data), HEADER) - width, 1))
        order = dice.choice(("big", "little"))
        data[at:at + width] = (dice.choice(NUMBERS) & (1 << 8 * width) - 1).to_bytes(width, order)


def change_index(data: bytearray, other: bytes, dice: random.Random) -> None:
    """The same at the end, where MP4 and AVI keep their index."""
    for _ in range(dice.choice((1, 4, 16))):
        at = len(data) - 4 - dice.randrange(min(len(data) - 4, HEADER))
        data[at:at + 4] = dice.choice(NUMBERS).to_bytes(4, "big")


def cut(data: bytearray, other: bytes, dice: random.Random) -> None:
    del data[dice.randrange(1, len(data)):]


def cut_out(data: bytearray, other: bytes, dice: random.Random) -> None:
    begin, end = stretch(data, dice)
    del data[begin:end]


def zero(data: bytearray, other: bytes, dice: random.Random) -> None:
    begin, end = stretch(data, dice)
    data[begin:end] = bytes(end - begin)


def repeat(data: bytearray, other: bytes, dice: random.Random) -> None:
    begin, end = stretch(data, dice)
    data[begin:begin] = data[begin:end] * dice.choice((1, 2, 5))


def splice(data: bytearray, other: bytes, dice: random.Random) -> None:
    begin, end = stretch(data, dice)
    data[begin:end] = other[dice.randrange(len(other)):][:end - begin]


def join(data: bytearray, other: bytes, dice: random.Random) -> None:
    data[dice.randrange(1, len(data)):] = other[dice.randrange(len(other)):]


MUTATIONS: tuple[Callable[[bytearray, bytes, random.Random], None], ...] = (
    flip_bits, flip_header_bits, change_numbers, change_numbers, change_index, cut, cut_out, zero, repeat, splice, join)


def stretch(data: bytearray, dice: random.Random) -> tuple[int, int]:
    begin = dice.randrange(len(data))
    return begin, min(len(data), begin + dice.choice((1, 16, 300, 5000, len(data) // 4 + 1)))


@dataclass(frozen=True)
class Case:
    """A mutated file. number decides all of it, together with the sources."""

    number: int
    source: str
    how: str
    path: Path


def sources(folder: Path, media: bool) -> list[Path]:
    """Clips made now, and the small real ones."""
    made = [write(folder / name, clip) for name, clip in CLIPS.items()]
    real = sorted(path for path in MEDIA.rglob("*.*") if path.suffix not in (".md", ".json", ".txt", ".jpg", ".png")
                  and path.is_file() and 100 < path.stat().st_size < LARGEST_SOURCE) if media else []
    return made + real


def cases(folder: Path, clips: list[Path], numbers: Iterable[int]) -> Iterator[Case]:
    for number in numbers:
        dice = random.Random(number)
        source, other = clips[number % len(clips)], dice.choice(clips)
        data, mutation = bytearray(source.read_bytes()), dice.choice(MUTATIONS)
        mutation(data, other.read_bytes(), dice)
        path = folder / f"case {number}{source.suffix}"
        path.write_bytes(data)
        yield Case(number, source.name, mutation.__name__, path)
        path.unlink()


def look(path: Path) -> str:
    """Probe, and decode what is sampled in the first seconds."""
    recording = probe(path)
    wanted = select(recording, Sampling(5), 0, SPAN_S)
    frames = sum(len(part) for part in decode(recording, wanted, batch=4))
    return "rows" if frames else "no rows"


def analyze_whole(path: Path, results: Path) -> str:
    from crowdmood import analysis
    from crowdmood.options import Execution, Options

    analysis.analyze(path, Options(sample_fps=2, end_s=1.0, tiles="off", imgsz=320), Execution(device="cpu", threads=1), results)
    return "rows"


def outcome_of(work: Callable[[], str]) -> tuple[str, float]:
    """What became of a case, as one line, and its seconds. Anything but rows or a sentence is a 'DEFECT'."""
    start = time.perf_counter()
    try:
        said = work()
    except CrowdmoodError as error:
        said = f"error: {error}" if "\n" not in str(error) else f"DEFECT, of several lines: {error}"
    except Exception as error:  # noqa: BLE001 that is what is looked for
        said = f"DEFECT: {type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    return (said if seconds < LIMIT_S else f"DEFECT, {seconds:.0f} s: {said}"), seconds


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(clips: list[Path], folder: Path, numbers: Iterable[int], whole: int) -> Iterator[tuple[Case, str, float]]:
    """Every case with what became of it. whole: analyze every so-manieth instead of only decoding it; 0: none."""
    for case in cases(folder, clips, numbers):
        if whole and case.number % whole == 0:
            said, seconds = outcome_of(lambda case=case: analyze_whole(case.path, folder / "results"))
        else:
            said, seconds = outcome_of(lambda case=case: look(case.path))
        yield case, said, seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cases", type=int, default=2000)
    arguments.add_argument("--first", type=int, default=0, help="number of the first case; the number decides everything")
    arguments.add_argument("--whole", type=int, default=20, help="analyze every so-manieth as a whole")
    arguments.add_argument("--media", action="store_true", help="also mutate the real clips")
    arguments.add_argument("--keep", type=Path, help="where to keep the files of defects, crashes and stalls")
    given = arguments.parse_args()
    kinds, slowest, first_mib = collections.Counter(), [], None
    with tempfile.TemporaryDirectory() as name:
        clips = sources(Path(name), given.media)
        for case, said, seconds in run(clips, Path(name), range(given.first, given.first + given.cases), given.whole):
            violent = any(words in said for words in ("DEFECT", "crashed", "killed", "no progress", "took longer", "needs more",
                                                      "makes no sense", "failed (", "ended unexpectedly"))
            kinds[said.split(":")[0] if not violent else "violent"] += 1
            slowest = sorted([*slowest, (seconds, case.number, case.source, case.how)])[-5:]
            first_mib = first_mib or resident_mib()
            if violent:
                print(f"{case.number} {case.source} {case.how} {seconds:.1f} s: {said}", flush=True)
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / case.path.name).write_bytes(case.path.read_bytes())
    print(f"{given.cases} cases of {len(clips)} clips: {dict(kinds)}")
    print(f"slowest: {[(round(s, 1), *rest) for s, *rest in slowest]}")
    print(f"memory of this process: {first_mib:.0f} MiB after the first case, {resident_mib():.0f} MiB after the last")


if __name__ == "__main__":
    main()
