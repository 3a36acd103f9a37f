"""One photo: the faces in it, what they show, and the picture with both drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.faces import Faces
from crowdmood.film.overlay import Overlay
from crowdmood.film.paths import NAMES, Sightings
from crowdmood.labels import EXPRESSIONS, UNCERTAIN
from crowdmood.options import Execution, Options
from crowdmood.photos.eyes import read_faces
from crowdmood.photos.runs import ANYWHERE, USUAL
from crowdmood.runtimes import choose_device
from crowdmood.scan import open_eyes
from crowdmood.stills import FORMATS, write_still
from crowdmood.video import PhotoFacts, look_at_photo, read_photo

HARDLY = 0.1  # what labels must have of all seven expressions together for a choice between them to mean something


@dataclass(frozen=True)
class ShownPhoto:
    """What is in a photo. image: uint8 (h, w, 3) RGB as it was looked at; facts: of the file; scale: pixels of the photo per pixel
    of the image; faces: boxes in pixels of the photo; sharpness float32 (m,); usable: bool (m,); labels: the expressions asked for;
    probability: float32 (m, k), over them alone; part: float32 (m,), what they have of all seven together.
    """

    image: np.ndarray
    facts: PhotoFacts
    scale: float
    faces: Faces
    sharpness: np.ndarray
    usable: np.ndarray
    labels: tuple[str, ...]
    probability: np.ndarray
    part: np.ndarray

    @property
    def names(self) -> list[str]:
        """What each face shows most of the labels; 'uncertain' where it cannot be read, or shows hardly any of them."""
        told = self.usable & (self.part >= HARDLY)
        return [self.labels[best] if sure else UNCERTAIN for best, sure in zip(self.probability.argmax(axis=1), told, strict=True)]

    def among(self, labels: Sequence[str]) -> ShownPhoto:
        """The same photo told by some of its labels only. Raises CrowdmoodError unless they are two or more different expressions."""
        check_labels(labels)
        picked = self.probability[:, [self.labels.index(name) for name in labels]]
        part = picked.sum(axis=1)
        return replace(self, labels=tuple(labels), probability=picked / np.maximum(part, 1e-12)[:, None], part=self.part * part)


def show_photo(path: Path, labels: Sequence[str] = (), options: Options = USUAL, execution: Execution = ANYWHERE) -> ShownPhoto:
    """Find and read the faces of one photo (of an animation its first frame). labels: which expressions to tell between, () for all.

    Raises CrowdmoodError.
    """
    if labels:
        check_labels(labels)
    facts, image = look_at_photo(path), read_photo(path)
    scale = facts.width / image.shape[1]
    eyes = open_eyes(options, choose_device(execution.device, execution.runtime, execution.threads))
    rows = read_faces(iter([(0, image, scale)]), eyes)
    seen = rows.expressions
    photo = ShownPhoto(image, facts, scale, rows.faces, seen.sharpness, seen.usable, EXPRESSIONS, seen.probability, seen.probability.sum(axis=1))
    return photo.among(labels) if labels else photo


def check_labels(labels: Sequence[str]) -> None:
    """Raise CrowdmoodError unless these are two or more different expressions."""
    if unknown := [name for name in labels if name not in EXPRESSIONS]:
        raise CrowdmoodError(f"'{unknown[0]}' is no expression; known: {', '.join(EXPRESSIONS)}")
    if len(set(labels)) < 2 or len(set(labels)) < len(labels):
        raise CrowdmoodError("--labels names two or more different expressions, such as happy,sad")


def write_annotated(photo: ShownPhoto, path: Path) -> None:
    """Write the picture with boxes and labels, as PNG or JPEG after the path's ending. Raises CrowdmoodError, VideoError."""
    check_picture_name(path)
    count, height, width = len(photo.faces), *photo.image.shape[:2]
    none = np.full(count, -1, np.int32)
    seen = Sightings(time=np.zeros(count), box=photo.faces.box.astype(np.float64), name=np.array([NAMES.index(name) for name in photo.names], np.int8),
                     confidence=photo.probability.max(axis=1, initial=0), track=none, person=none, at=np.zeros(count, np.int64),
                     frame=np.zeros(1, np.int64), frame_time=np.zeros(1), cut=np.ones(1, bool))
    image = np.array(photo.image)
    Overlay(seen, width, height, 1 / photo.scale).draw(image, seen.box, np.arange(count))
    write_still(path, image)


def check_picture_name(path: Path) -> None:
    """Raise CrowdmoodError unless a path's ending is one of a picture that we write."""
    if path.suffix.lower() not in FORMATS:
        raise CrowdmoodError(f"{path}: a picture's name ends with {' or '.join(FORMATS)}")
