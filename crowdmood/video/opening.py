"""Opening a file, with one sentence for each way in which that fails."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from crowdmood.errors import VideoError
from crowdmood.video.checking import check_file

# FFmpeg writes its complaints to stderr by itself; what matters of them becomes a VideoError or a count here.
av.logging.set_level(None)

PICTURE_FORMATS = ("image2", "ico")
PLAYLIST_FORMATS = ("hls", "concat", "dash", "imf", "sdp", "rtsp")
A_PICTURE = "it is a picture, not a recording"
A_PLAYLIST = "it is a playlist, not a recording; analyze the files that it names"
SNIFFED = (
    ((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM"), A_PICTURE),
    ((b"#EXTM3U", b"ffconcat"), A_PLAYLIST),
    ((b"%PDF",), "it is a PDF document, not a recording"),
    ((b"PK\x03\x04",), "it is a ZIP archive; unpack it first"),
)


def open_container(path: Path) -> InputContainer:
    """Open ``path`` for demuxing. Raises VideoError with the reason where it can be told."""
    check_file(path)
    try:
        # An absolute name, so that FFmpeg takes 'talk: part 2.mp4' for no protocol; only local files, so that
        # a playlist in disguise cannot make it read anything else.
        container = av.open(str(path.resolve()), mode="r", options={"protocol_whitelist": "file"},
                            metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path.name}: {_reason(path, error)}") from None
    refusal = _refused_format(container.format.name)
    if refusal:
        container.close()
        raise VideoError(f"{path.name}: {refusal}")
    return container


def _refused_format(name: str) -> str | None:
    if name.endswith("_pipe") or name in PICTURE_FORMATS:
        return A_PICTURE
    if set(name.split(",")) & set(PLAYLIST_FORMATS):
        return A_PLAYLIST
    return None


def _reason(path: Path, error: Exception) -> str:
    """What the first bytes of a file that FFmpeg does not open say it is."""
    with open(path, "rb") as file:
        head = file.read(4096)
    for starts, sentence in SNIFFED:
        if head.startswith(starts):
            return sentence
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "it is a web page, not a recording; download the video itself"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "the file is cut short or damaged: its index is missing; copy or download it again"
    if text and all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in text):
        return "it is a text file, not a recording"
    if isinstance(error, av.InvalidDataError):
        return "it is no video file, or its beginning is damaged"
    return f"it cannot be opened ({getattr(error, 'strerror', None) or error})"
