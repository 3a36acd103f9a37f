"""What kind of file was sent, by its first bytes, and the name under which it is kept."""

from __future__ import annotations

import re
import unicodedata

from crowdmood.errors import one_line
from crowdmood.sources import VIDEO_EXTENSIONS
from crowdmood.web.refusals import WrongType

HEAD = 4096
"""So many bytes tell what kind a file is."""
LONGEST_NAME = 180  # bytes; file systems take 255, and a report's files are named after it
STARTS = (
    (b"\x1aE\xdf\xa3", ".mkv"), (b"FLV\x01", ".flv"), (b"OggS", ".ogv"), (b"0&\xb2u\x8ef\xcf\x11", ".wmv"), (b"DKIF", ".ivf"),
    (b"\x06\x0e+4\x02\x05", ".mxf"), (b"GIF8", ".gif"), (b"\0\0\x01\xba", ".mpg"), (b"\0\0\x01\xb3", ".mpg"), (b"\0\0\0\x01", ".h264"),
    (b"\0\0\x01", ".h264"),
)
ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # QuickTime files of before 2001 begin with one of these
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\0", b"MM\0*")
PICTURE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
SOUNDS = (b"ID3", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1")
A_PICTURE, A_SOUND = "a picture; the Photos page ranks pictures", "a sound recording without pictures"


def film_ending(head: bytes, name: str) -> str:
    """The ending of a film that begins so, such as '.mp4'. head: up to HEAD bytes. Raises WrongType, which says what it is."""
    if head[4:8] == b"ftyp":
        _refuse_brand(head[8:12], name)
        return ".mp4"
    if head[:4] == b"RIFF":
        return _riff_ending(head[8:12], name)
    for kind, starts in ((A_PICTURE, PICTURES), (A_SOUND, SOUNDS)):
        if head.startswith(starts):
            raise _not_a_film(name, kind)
    if head[4:8] in ATOMS:
        return ".mov"
    if _is_transport(head):
        return ".ts"
    for start, ending in STARTS:
        if head.startswith(start):
            return ending
    raise _not_a_film(name, "not a film")


def _refuse_brand(brand: bytes, name: str) -> None:
    if brand in PICTURE_BRANDS:
        raise _not_a_film(name, A_PICTURE)
    if brand in SOUND_BRANDS:
        raise _not_a_film(name, A_SOUND)


def _riff_ending(kind: bytes, name: str) -> str:
    if kind.startswith(b"AVI"):
        return ".avi"
    raise _not_a_film(name, A_PICTURE if kind == b"WEBP" else A_SOUND)


def _is_transport(head: bytes) -> bool:
    """Packets of 188 bytes, or of 192 with a time before each."""
    return any(len(head) > start + 2 * step and head[start] == head[start + step] == head[start + 2 * step] == 0x47
               for start, step in ((0, 188), (4, 192)))


def _not_a_film(name: str, kind: str) -> WrongType:
    return WrongType(f"{name} is {kind}. Films are taken here: MP4, MOV, MKV, WebM, AVI, MPEG and the like.")


def clean_name(name: str) -> str:
    """A visitor's name for a file as text that is a file's name everywhere: no path, no control characters, not too long."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter if unicodedata.category(letter)[0] in "LNM" or letter in " -_.,+&'()!@=" else "_" for letter in name)
    kept = re.sub(r"\s+", " ", one_line(kept)).strip(" .-")
    stem, point, ending = kept.rpartition(".")
    if not point or f".{ending.lower()}" not in VIDEO_EXTENSIONS:
        stem, ending = kept, ""
    stem = stem.encode()[:LONGEST_NAME].decode("utf-8", "ignore").strip(" .-")
    return f"{stem or 'recording'}.{ending}" if ending else stem or "recording"


def with_ending(name: str, ending: str) -> str:
    """The name of a film: as it is when it ends as films do, else with this ending."""
    return name if name.lower().endswith(VIDEO_EXTENSIONS) else name + ending
