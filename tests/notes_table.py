"""Hits and misses of what people saw in the clips and photographs of the media folder, as a Markdown table.

    python tests/notes_table.py [MEDIA] [--detector DIR] [--expression DIR]

A clip's span is a hit where the mean probability of an expression named is the largest (or of one that must
not be shown is not); a photograph where the expression named is that of most of its faces. Photographs whose
notes name nothing that a program can compare are left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageOps

import crowdmood
from crowdmood.expressions import classify, crop_faces, judge, names
from crowdmood.faces import detect
from crowdmood.labels import EXPRESSIONS
from crowdmood.options import Options
from crowdmood.runtimes import choose_device
from crowdmood.scan import Eyes, open_eyes
from tests.test_media import SPANS

EXTRA = (  # spans of the notes that no test asserts: clip, start, end, expressions, never shown
    ("faces/c12_lp_d18_man_shout_sad.mp4", 0.7, 1.4, ("sad",), False),
    ("faces/c12_lp_d18_man_shout_sad.mp4", 1.5, 2.0, ("neutral",), False),
    ("faces/c12_lp_d18_man_shout_sad.mp4", 3.3, 3.8, ("neutral",), False),
    ("faces/c12_lp_d18_man_shout_sad.mp4", 3.9, 5.1, ("surprise", "happy", "angry", "fear"), False),
    ("faces/c12_lp_d18_man_shout_sad.mp4", 5.4, 7.2, ("happy",), True),
)


@dataclass(frozen=True)
class Photo:
    """How many faces people see, how many of them are surely shown to a camera, and what they show."""

    file: str
    faces: int
    shown: tuple[tuple[str, int], ...] = ()  # expression (or several, joined by /), and the number of faces

    @property
    def path(self) -> str:
        return f"photos/{self.file}.jpg"


PHOTOS = (
    Photo("e01_az_faces", 6, (("happy", 6),)),
    Photo("e02_az_identification1", 4, (("happy", 4),)),
    Photo("e03_az_detection5", 3, (("happy", 2), ("neutral/surprise", 1))),
    Photo("e05_az_detection1", 1, (("happy", 1),)),
    Photo("e08_az_detection4", 3, (("neutral/sad/angry", 1), ("happy", 2))),
    Photo("e10_dlib_2007_007763", 7),
    Photo("e11_dlib_2008_001009", 2, (("happy", 2),)),
    Photo("e15_dlib_2008_002506", 3, (("happy", 2), ("angry", 1))),
    Photo("e20_pyfeat_multi_face", 5, (("happy", 4), ("neutral", 1))),
    Photo("e24_vm_stock_group_1", 15, (("happy", 15),)),
    Photo("e25_solvay1927", 29, (("neutral/sad/angry", 29),)),
    *(Photo(f"e28_exif_portrait_{turn}", 0) for turn in (1, 3, 6, 8)),
    Photo("e26_vm_emotions_a4", 1, (("disgust/angry", 1),)),
    Photo("e26_vm_emotions_a5", 1, (("angry/sad", 1),)),
    Photo("e26_vm_emotions_a7", 1, (("happy", 1),)),
    Photo("e26_vm_emotions_b1", 1, (("sad/disgust/angry", 1),)),
    Photo("e26_vm_emotions_b4", 1, (("happy", 1),)),
    Photo("e26_vm_emotions_b5", 1, (("surprise", 1),)),
    Photo("e26_vm_emotions_b6", 1, (("surprise/fear", 1),)),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("media", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "media")
    parser.add_argument("--detector")
    parser.add_argument("--expression")
    given = parser.parse_args()
    options = Options(detector=given.detector, expression=given.expression)
    with TemporaryDirectory() as results:
        spans = span_rows(given.media, results, options)
    eyes = open_eyes(options, choose_device("cpu"))
    photos = [photo_row(given.media / photo.path, photo, eyes) for photo in PHOTOS]
    head = ("file", "span", "expected", "shown", "result")
    print(markdown(head, [*spans, *photos]))
    hits = sum(row[-1] == "hit" for row in (*spans, *photos))
    print(f"\n{hits} hits of {len(spans) + len(photos)}")


def span_rows(media: Path, results: str, options: Options) -> list[tuple]:
    rows, runs = [], {}
    asserted = [(s.clip, s.start, s.end, s.shown or s.never, not s.shown) for s in SPANS]
    for clip, start, end, wanted, never in sorted([*asserted, *EXTRA]):
        if clip not in runs:
            runs[clip] = crowdmood.analyze(media / clip, results=results, detector=options.detector,
                                           expression=options.expression)  # fmt: skip
        means = ", ".join(f"avg({name})" for name in EXPRESSIONS)
        where = f"WHERE usable AND time_s BETWEEN {start} AND {end}"
        *mean, count = (
            runs[clip].sql(f"SELECT {means}, count(*) AS faces FROM faces {where}").to_pylist()[0].values()
        )
        span, expected = f"{start:g} to {end:g} s", ("not " if never else "") + " or ".join(wanted)
        if not count:
            rows.append((clip, span, expected, "no usable face", "miss"))
            continue
        order = np.argsort(mean)[::-1]
        shown = ", ".join(f"{EXPRESSIONS[k]} {mean[k]:.2f}" for k in order[:2])
        good = (EXPRESSIONS[order[0]] in wanted) != never
        rows.append((clip, span, expected, f"{shown} ({count} looks)", "hit" if good else "miss"))
    return rows


def photo_row(path: Path, photo: Photo, eyes: Eyes) -> tuple:
    with Image.open(path) as picture:
        images = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))[None]
    faces = detect(images, eyes.detector, eyes.detect)
    crops = crop_faces(images, faces, eyes.crop)
    seen = judge(faces, crops, classify(crops, eyes.classifier, eyes.temperature), eyes.usable)
    said = Counter(names(seen.probability, seen.usable))
    shown = f"{_faces(len(faces))}: " + ", ".join(f"{count} {name}" for name, count in said.most_common())
    wanted = ", ".join(f"{count} {name.replace('/', ' or ')}" for name, count in photo.shown)
    expected = _faces(photo.faces) + (f": {wanted}" if wanted else "")
    return photo.path, "", expected, shown.removesuffix(": "), result(photo, len(faces), said)


def _faces(count: int) -> str:
    return f"{count} face" + "s" * (count != 1)


def result(photo: Photo, found: int, said: Counter) -> str:
    """Hit: the number of faces is right within a fifth, and most faces of each kind are read as such."""
    if abs(found - photo.faces) > photo.faces / 5:
        return "miss (faces)"
    for name, count in photo.shown:
        if sum(said[one] for one in name.split("/")) <= count / 2:
            return f"miss ({name.replace('/', ' or ')})"
    return "hit"


def markdown(head: tuple, rows: list[tuple]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


if __name__ == "__main__":
    main()
