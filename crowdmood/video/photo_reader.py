"""Photos, as the process reads them that decodes: any of the usual formats -> an upright 8-bit RGB picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from crowdmood.errors import VideoError
from crowdmood.video.checking import check_file
from crowdmood.video.recording import LARGEST_PICTURE

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")  # none of those that Pillow has other programs read
SEVERAL = ("GIF", "PNG", "WEBP", "AVIF")  # their further pictures are an animation's frames
LONGEST = 3840  # pixels; a photo that is as long or longer is read at half its size, a quarter, ...
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
ORIENTATION, EXIF, TAKEN = 0x0112, 0x8769, (0x9003, 0x9004)  # EXIF tags; when it was taken, else digitised
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}
NO_PICTURE = "it is no picture of a kind that can be read (JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF, BMP)"
NO_HEIC = "HEIC photos need one more package: pip install 'crowdmood[heic]'"

Image.MAX_IMAGE_PIXELS = None  # we have a limit of our own, with a sentence


def look(path: Path) -> dict[str, object]:
    """What a photo's header says: format, width and height as displayed, pages (frames of an animation), taken (ISO 8601 or None).

    Raises VideoError.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = _orientation(image) in (5, 6, 7, 8)
        return {"format": image.format, "width": height if turned else width, "height": width if turned else height,
                "pages": getattr(image, "n_frames", 1) if image.format in SEVERAL else 1, "taken": _taken(image)}


def picture(path: Path, page: int) -> np.ndarray:
    """A photo, or the page of an animation, upright, uint8 (h, w, 3) RGB, shorter than LONGEST. Transparent parts are white.

    Raises VideoError.
    """
    with _opened(path) as image:
        if page:
            image.seek(page)
        orientation, factor = _orientation(image), reduction(*image.size)
        if image.format in ("JPEG", "MPO") and factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))  # decodes less: several times as fast
        plain = _rgb(image)
        if (rest := reduction(*plain.size)) > 1:
            plain = plain.reduce(rest)
        return np.asarray(plain.transpose(TURNS[orientation]) if orientation in TURNS else plain)


def reduction(width: int, height: int) -> int:
    """By how many times a photo is read smaller than it is: 1, 2, 4, ..."""
    factor = 1
    while max(width, height) // factor >= LONGEST:
        factor *= 2
    return factor


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A photo opened, its pixels not yet read. Whatever Pillow raises for a damaged file is a VideoError."""
    check_file(path)
    try:
        with Image.open(path, formats=_formats(path)) as image:
            if image.width * image.height > LARGEST_PICTURE:
                raise VideoError(f"{path.name}: its picture of {image.width} x {image.height} is too large; scale it down first")
            yield image
    except (VideoError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise VideoError(f"{path.name}: {_what_it_is(path)}") from None
    except Exception as error:  # noqa: BLE001 each format's reader has errors of its own for what it cannot make sense of
        said = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise VideoError(f"{path.name}: the picture is damaged or cut short ({said}); copy it again") from None


def _formats(path: Path) -> tuple[str, ...]:
    """The formats to be tried; what reads HEIC is loaded only for it."""
    with open(path, "rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:12] not in HEIC:
        Image.init()
        return tuple(kind for kind in FORMATS if kind in Image.OPEN)
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise VideoError(f"{path.name}: {NO_HEIC}") from None
    register_heif_opener()
    return ("HEIF",)


def _what_it_is(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(512)
    if head[:3] == b"\xff\xd8\xff" or head[:4] in (b"\x89PNG", b"GIF8") or head[8:12] in (*HEIC, b"WEBP"):
        return "the picture is damaged or cut short; copy it again"
    if head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3",):
        return "it is a video, not a photo; `crowdmood analyze` reads videos"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not a photo; download the picture itself"
    return NO_PICTURE


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where nothing sensible is told."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 a photo may be sound and its EXIF is not
        return 1


def _taken(image: Image.Image) -> str | None:
    try:
        facts = image.getexif().get_ifd(EXIF)
        told = next(str(facts[tag]) for tag in TAKEN if tag in facts)
        return datetime.strptime(told.strip("\0 "), "%Y:%m:%d %H:%M:%S").isoformat()
    except Exception:  # noqa: BLE001 a photo may be sound and its EXIF is not
        return None


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB. Deep pictures are scaled, not cut; transparent ones are laid upon white."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_shallow(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _shallow(deep: np.ndarray) -> np.ndarray:
    """uint8 (h, w) of grey in 16 or 32 bits, or floats; the scale is the type's, and the brightest value's where that is open."""
    if deep.dtype == np.uint16:
        return (deep >> 8).astype(np.uint8)
    deep = np.nan_to_num(np.asarray(deep, np.float64), posinf=0, neginf=0).clip(0)
    most = next((most for most in (1, 255, 65535) if deep.max(initial=0) <= most), deep.max(initial=1))
    return np.round(deep * 255 / most).astype(np.uint8)
