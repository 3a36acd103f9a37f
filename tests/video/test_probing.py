"""What probe finds out, and the one sentence for each file that is no recording."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

from crowdmood.errors import VideoError
from crowdmood.video import DecodeCount, decode, probe
from tests.videos import Clip, blank_media, cut, draw, read, with_cover, write

PLAIN = Clip(options={"g": "12", "bf": "0"})
STEADY = Clip(options={"g": "12", "bf": "0", "x264-params": "scenecut=0"})


def numbers(recording) -> list[int]:
    return [read(image) for part in decode(recording, np.arange(len(recording))) for image in part.images]


def test_the_facts(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", Clip(options={"g": "12", "bf": "2", "x264-params": "scenecut=0"}))
    recording = probe(path)
    assert (recording.width, recording.height, recording.rotation) == (128, 96, 0)
    assert (recording.codec, recording.pixel_format) == ("h264", "yuv420p")
    assert "mp4" in recording.container
    assert recording.streams == ("0 video h264 128x96",) and recording.stream == 0
    assert recording.digest == sha256(path.read_bytes()).hexdigest()
    assert recording.size_bytes == path.stat().st_size
    assert recording.frames_promised == len(recording) == 48
    assert recording.duration_s == pytest.approx(2.0)
    assert np.flatnonzero(recording.keyframe).tolist() == [0, 12, 24, 36]
    assert recording.seekable and recording.pts_trusted
    assert recording.pts.dtype == np.int64 and recording.time.dtype == np.float64


def test_times_stay_exact_over_hours(tmp_path: Path) -> None:
    ticks = [0, 90_000 * 3600 * 9 + 1, 90_000 * 3600 * 9 + 3003]
    recording = probe(
        write(
            tmp_path / "long.mkv",
            Clip(numbers=range(3), ticks=[t // 90 for t in ticks], time_base=Fraction(1, 1000)),
        )
    )
    assert recording.time.tolist() == [0.0, 32400.0, 32400.033]


def test_a_recording_can_be_sent_to_another_process(tmp_path: Path) -> None:
    recording = pickle.loads(pickle.dumps(probe(write(tmp_path / "clip.mp4", PLAIN))))
    assert numbers(recording) == list(range(48))


@pytest.mark.parametrize(
    "name", ["talk: part 2.mp4", "50% done #1.mp4", "a [b] {c}.mp4", "-f.mp4", "Grüße 你好.mp4"]
)
def test_names_mean_nothing_to_the_decoder(tmp_path: Path, monkeypatch, name: str) -> None:
    write(tmp_path / "clip.mp4", PLAIN).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert numbers(probe(name))[:3] == [0, 1, 2]


def test_decoders_that_are_closed_on_the_way_do_not_lock_up(tmp_path: Path) -> None:
    """Probing closes the decoder while its threads work; a lock-up never ends, so in another process."""
    clip = Clip(codec="libsvtav1", options={"preset": "10", "g": "12"}, size=(320, 240))
    files = [write(tmp_path / "a.mkv", clip), write(tmp_path / "b.avi", Clip(size=(320, 240)))]
    code = (
        "import sys, numpy as np\nfrom crowdmood.video import decode, probe\n"
        "for _ in range(25):\n"
        "    for path in sys.argv[1:]:\n"
        "        next(decode(probe(path), np.arange(48), batch=1))\n"
    )
    subprocess.run([sys.executable, "-c", code, *files], check=True, timeout=60)


def test_of_two_equal_streams_the_larger_one_is_read(tmp_path: Path) -> None:
    small = Clip(size=(64, 48), numbers=range(100, 130))
    recording = probe(write(tmp_path / "two.ts", small, PLAIN))
    assert recording.stream == 1 and recording.streams[1] == "1 video h264 128x96"
    assert numbers(recording) == list(range(48))


def test_a_cover_picture_is_never_the_recording(tmp_path: Path) -> None:
    recording = probe(with_cover(tmp_path / "cover.mp4", PLAIN))
    assert sorted(stream[2:] for stream in recording.streams) == ["video h264 128x96", "video mjpeg 640x480"]
    assert "h264" in recording.streams[recording.stream] and numbers(recording) == list(range(48))


def test_a_file_that_is_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    recording = probe(cut(write(tmp_path / "cut.mkv", PLAIN), 0.6))
    assert 10 < len(recording) < 45
    assert numbers(recording) == list(range(len(recording)))


def test_a_stream_that_begins_in_the_middle_counts_from_its_first_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "tail.ts", STEADY)
    content = path.read_bytes()
    path.write_bytes(content[len(content) // 188 // 5 * 188 :])
    recording = probe(path)
    assert numbers(recording) == list(range(12, 48))
    assert recording.time[0] == 0


def test_wide_and_tall_pixels_are_shown_square(tmp_path: Path) -> None:
    wide, tall = (
        probe(write(tmp_path / f"{name}.mp4", Clip(aspect=aspect)))
        for name, aspect in (("wide", Fraction(4, 3)), ("tall", Fraction(3, 4)))
    )
    assert (wide.width, wide.height) == (171, 96) and (tall.width, tall.height) == (128, 128)
    assert numbers(wide) == numbers(tall) == list(range(48))


def test_a_change_of_size_is_scaled_to_the_first_one(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"{k}.h264", Clip(size=size, numbers=range(10 * k, 10 * k + 10)))
        for k, size in enumerate([(128, 96), (64, 48), (192, 144)])
    ]
    path = tmp_path / "changes.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    recording = probe(path)
    assert (recording.width, recording.height) == (128, 96)
    assert numbers(recording) == list(range(30))


def test_colours_are_read_by_the_matrix_that_the_file_names(tmp_path: Path) -> None:
    """The same stored values mean other colours in BT.601 and BT.709; HD without a name means BT.709."""
    seen = {}
    for name, colours, size in (
        ("601", (6, 6, 6), (128, 96)),
        ("709", (1, 1, 1), (128, 96)),
        ("small", None, (128, 96)),
        ("hd", None, (1280, 720)),
    ):
        recording = probe(_tinted(tmp_path / f"{name}.mp4", colours, size))
        seen[name] = next(decode(recording, np.array([0]))).images[0, 40, 40].astype(int)
    assert np.abs(seen["601"] - [235, 76, 44]).max() <= 3 and np.abs(seen["709"] - [250, 90, 40]).max() <= 3
    assert np.abs(seen["small"] - seen["601"]).max() <= 3 and np.abs(seen["hd"] - seen["709"]).max() <= 3


def _tinted(path: Path, colours: tuple[int, int, int] | None, size: tuple[int, int]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"qp": "1"})
        stream.width, stream.height = size
        if colours:
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace = colours
        frame = av.VideoFrame(*size, "yuv420p")
        for plane, value in zip(frame.planes, (120, 90, 200), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_pq_picture_is_mapped_to_an_ordinary_screen(tmp_path: Path) -> None:
    """White paper (203 candela, code 0.58) and skin must not look as dark as their code values."""
    clip = Clip(
        codec="libx265",
        pixel_format="yuv420p10le",
        numbers=range(4),
        options={"x265-params": "log-level=none"},
    )
    levels = {}
    for name, colours in (("pq", (9, 16, 9)), ("plain", (9, 1, 9))):
        clip.colours = colours
        image = next(decode(probe(write(tmp_path / f"{name}.mp4", clip)), np.array([0]))).images[0]
        levels[name] = (image[10, 10].mean(), image[10, 100].mean())  # the white and the black corner
    assert levels["plain"][0] == pytest.approx(232, abs=3) and levels["pq"][0] >= 250
    assert levels["pq"][1] <= 24


@pytest.mark.parametrize("clip", [PLAIN, STEADY, Clip(), Clip(codec="mpeg4", options={"g": "12", "bf": "2"})])
def test_a_damaged_packet_costs_its_frames_only(tmp_path: Path, clip: Clip) -> None:
    path = blank_media(write(tmp_path / "hurt.mp4", clip), 0.5, 0.55)
    recording, count = probe(path), DecodeCount()
    everything = np.arange(len(recording))
    whole = {
        n: image
        for part in decode(recording, everything, count=count)
        for n, image in zip(part.frame.tolist(), part.images, strict=True)
    }
    assert count.damaged_packets > 0 and count.missing > 0
    assert count.decoded + count.missing == len(recording) == 48
    assert [read(whole[n]) for n in range(12)] == list(range(12))
    assert [read(whole[n]) for n in range(36, 48)] == list(range(36, 48))
    for first in range(0, 48, 5):  # in shares: the same frames with the same pixels, the same ones missing
        wanted = everything[first : first + 5]
        share = {
            n: image
            for part in decode(recording, wanted)
            for n, image in zip(part.frame.tolist(), part.images, strict=True)
        }
        assert share.keys() == {n for n in wanted.tolist() if n in whole}
        assert all(np.array_equal(image, whole[n]) for n, image in share.items())


def test_a_file_that_changes_after_it_was_probed_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", PLAIN)
    recording = probe(path)
    write(path, Clip(numbers=range(20), ticks=[3 * k for k in range(20)], time_base=Fraction(1, 24)))
    with pytest.raises(VideoError, match=r"clip.mp4: the file has changed"):
        list(decode(recording, np.arange(48)))
    path.unlink()
    with pytest.raises(VideoError, match="there is no such file"):
        list(decode(recording, np.arange(48)))


def still(path: Path, codec: str, pixel_format: str) -> Path:
    """A picture under whatever name."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 48, pixel_format, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(draw(1, 64, 48), format="rgb24").reformat(format=pixel_format)
    path.write_bytes(b"".join(bytes(packet) for packet in context.encode(frame) + context.encode(None)))
    return path


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def content(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path


def without_media(path: Path) -> Path:
    """Keep the index at the beginning of an MP4, and none of the media behind it."""
    return content(path, path.read_bytes().partition(b"mdat")[0] + b"mdat")


UNUSABLE = {
    "empty": (lambda p: content(p, b""), "the file is empty"),
    "web page": (
        lambda p: content(p, b"<!DOCTYPE html><html><body>Sign in</body></html>"),
        "it is a web page",
    ),
    "text": (lambda p: content(p, b"hello, this is a note\n" * 20), "it is a text file"),
    "noise": (lambda p: content(p, np.random.default_rng(3).bytes(5000)), "no video file"),
    "PDF": (lambda p: content(p, b"%PDF-1.7\n" + bytes(500)), "a PDF document"),
    "playlist": (lambda p: content(p, b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n"), "it is a playlist"),
    "list of files": (lambda p: content(p, b"ffconcat version 1.0\nfile other.mp4\n"), "it is a playlist"),
    "JPEG": (lambda p: still(p, "mjpeg", "yuvj420p"), "it is a picture"),
    "PNG": (lambda p: still(p, "png", "rgb24"), "it is a picture"),
    "GIF of one picture": (
        lambda p: write(
            p.with_suffix(".gif"), Clip(codec="gif", pixel_format="rgb8", numbers=[1], options={})
        ),
        "it is a picture",
    ),
    "sound": (sound, r"it holds no video \(found: 1 audio\)"),
    "header cut off": (lambda p: cut(write(p, Clip()), 0.5), "cut short or damaged: its index is missing"),
    "media cut off": (
        lambda p: without_media(write(p, Clip(container={"movflags": "faststart"}))),
        "no video data is there",
    ),
    "media overwritten": (lambda p: blank_media(write(p, Clip()), 0.0), "none of its video packets"),
    "folder": (lambda p: p.mkdir() or p, "this is a folder"),
    "pipe": (lambda p: os.mkfifo(p) or p, "not a regular file"),
    "missing": (lambda p: p, "there is no such file"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_is_no_recording_gets_one_sentence(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture
) -> None:
    make, sentence = UNUSABLE[kind]
    path = make(tmp_path / "concert.mp4")
    capfd.readouterr()
    with pytest.raises(VideoError, match=sentence) as raised:
        probe(path)
    assert path.name in str(raised.value) and "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_without_permission_gets_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "secret.mp4", PLAIN)
    path.chmod(0)
    code = (
        "import os, sys; from crowdmood.video import probe\n"
        # root may read anything
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: probe(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o111)
        if folder == Path("/tmp"):
            break
    said = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    sentence = "secret.mp4: no permission to read it; check its and its folder's rights"
    assert said.stdout.strip() == f"VideoError {sentence}"
