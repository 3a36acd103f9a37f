"""What every decoder must do, over recordings of many kinds. Each shows its frame numbers in its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
import pytest

from crowdmood.errors import VideoError
from crowdmood.video import DECODERS, DecodeCount, Recording, Sampling, decode, probe, select
from tests.videos import Clip, read, trim_by_edit_list, with_cover, write

H264 = Clip()
MPEG2 = Clip(codec="mpeg2video", options={"g": "12", "bf": "2"})
VP9 = Clip(
    codec="libvpx-vp9", options={"g": "12", "lag-in-frames": "10", "auto-alt-ref": "1", "cpu-used": "5"}
)
HEVC = Clip(codec="libx265", options={"x265-params": "keyint=12:open-gop=1:bframes=3:log-level=none"})
TEN_BIT = Clip(
    codec="libx265", pixel_format="yuv420p10le", options={"x265-params": "keyint=12:log-level=none"}
)
UNEVEN = [30 * i + 17 * i * i // 10 for i in range(48)]
MILLISECONDS = Fraction(1, 1000)


@dataclass(frozen=True)
class Case:
    """A kind of recording: how to make it, what it shows when, and what decord says to it."""

    suffix: str
    clips: tuple[Clip, ...]
    numbers: range = range(48)
    """The frame numbers that are displayed."""
    seconds: Callable[[int], float] = lambda i: i / 24
    """When the i-th displayed frame begins, from the first one."""
    refused: str | None = None
    """A part of the sentence with which decord is refused; None where it must decode."""
    make: Callable[..., Path] = write


def uneven(i: int) -> float:
    return UNEVEN[i] / 1000


CASES = {
    "h264 with B-frames": Case("mp4", (H264,)),
    "h264 with open groups": Case(
        "mp4", (Clip(options={"x264-params": "keyint=12:open-gop=1:bframes=3:b-pyramid=normal:scenecut=0"}),)
    ),
    "h264 with intra refresh": Case(
        "mp4", (Clip(options={"x264-params": "keyint=12:intra-refresh=1:bframes=0"}),)
    ),
    "h264 in fragments": Case(
        "mp4",
        (Clip(container={"movflags": "frag_keyframe+empty_moov"}),),
        refused="its first frame is not at time 0",
    ),
    "h264 in a transport stream": Case("ts", (H264,), refused="its first frame is not at time 0"),
    "h264 without any times": Case("h264", (H264,), refused="its frames carry no usable times"),
    "h264 in AVI": Case("avi", (H264,), refused="its frames carry no usable times"),
    "h264 in FLV": Case("flv", (H264,), refused="its first frame is not at time 0"),
    "odd size": Case("mp4", (Clip(size=(161, 121), pixel_format="yuv444p"),)),
    "hevc": Case("mp4", (HEVC,)),
    "hevc, 10 bit": Case("mp4", (TEN_BIT,)),
    "vp8": Case("webm", (Clip(codec="libvpx", options={"g": "12"}),)),
    "vp9": Case("webm", (VP9,)),
    "vp9 without duration": Case(
        "webm",
        (Clip(codec="libvpx-vp9", options={"g": "12", "cpu-used": "8"}, container={"live": "1"}),),
        refused="fails to open",
    ),
    "av1": Case(
        "mkv", (Clip(codec="libsvtav1", options={"preset": "10", "g": "12"}),), refused="fails to open"
    ),
    "mpeg2 in a program stream": Case("mpg", (MPEG2,), refused="its first frame is not at time 0"),
    "mpeg2 in a transport stream": Case("ts", (MPEG2,), refused="its first frame is not at time 0"),
    "mpeg4 in AVI": Case(
        "avi",
        (Clip(codec="mpeg4", options={"g": "12", "bf": "2"}),),
        refused="its first frame is not at time 0",
    ),
    "mjpeg": Case("mov", (Clip(codec="mjpeg", pixel_format="yuvj420p", options={}),)),
    "prores": Case("mov", (Clip(codec="prores_ks", pixel_format="yuv422p10le", options={}),)),
    "gif": Case(
        "gif",
        (Clip(codec="gif", pixel_format="rgb8", rate=Fraction(25), options={}),),
        seconds=lambda i: i / 25,
        refused="fails to open",
    ),
    "variable rate": Case(
        "mp4",
        (Clip(ticks=UNEVEN, time_base=MILLISECONDS),),
        seconds=uneven,
        refused="its frame rate is not constant",
    ),
    "late start": Case(
        "mkv",
        (Clip(ticks=[1500 + 40 * i for i in range(48)], time_base=MILLISECONDS),),
        seconds=lambda i: i / 25,
        refused="its first frame is not at time 0",
    ),
    "negative start": Case(
        "mp4",
        (Clip(ticks=[40 * i - 500 for i in range(48)], time_base=MILLISECONDS),),
        numbers=range(13, 48),
        seconds=lambda i: i / 25,
        refused="frames that are not shown",
    ),
    "edit list that trims both ends": Case(
        "mp4",
        (H264,),
        numbers=range(6, 30),
        refused="frames that are not shown",
        make=lambda path, clip: trim_by_edit_list(write(path, clip), begin_ticks=6 * 512, shown_ms=1000),
    ),
    "turned by 90": Case("mp4", (Clip(rotation=90),)),
    "turned by 180": Case("mp4", (Clip(rotation=180),)),
    "turned by 270": Case("mp4", (Clip(rotation=-90),)),
    "two video streams, the first marked as default": Case(
        "mp4",
        (Clip(size=(64, 48), numbers=range(100, 130)), H264),
        numbers=range(100, 130),
        refused="several video",
    ),
    "cover picture": Case("mp4", (H264,), make=with_cover, refused="several video"),
    "wide pixels": Case("mp4", (Clip(aspect=Fraction(2)),), refused="a picture of"),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recording]:
    """A function that makes a case's recording on first use."""
    folder, made = tmp_path_factory.mktemp("clips"), {}

    def get(name: str) -> Recording:
        if name not in made:
            case = CASES[name]
            made[name] = probe(case.make(folder / f"{name}.{case.suffix}", *case.clips))
        return made[name]

    return get


@pytest.fixture(scope="module")
def whole(recordings) -> Callable[[str, str], np.ndarray]:
    """A function that gives all pictures of a case, decoded in one go by a decoder, uint8 (n, h, w, 3)."""

    @cache
    def get(name: str, decoder: str) -> np.ndarray:
        recording = recordings(name)
        everything = np.arange(len(recording))
        return np.concatenate([part.images for part in decode(recording, everything, decoder=decoder)])

    return get


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def shown_numbers(recording: Recording, wanted: np.ndarray, decoder: str, **more) -> list[int]:
    return [
        read(image) for part in decode(recording, wanted, decoder=decoder, **more) for image in part.images
    ]


def test_frames_and_times_are_those_that_a_player_shows(name: str, recordings) -> None:
    recording, case = recordings(name), CASES[name]
    assert len(recording) == len(case.numbers)
    expected = [case.seconds(i) for i in range(len(case.numbers))]
    tick = float(recording.time_base)
    assert np.abs(recording.time - expected).max() <= max(tick, 1e-9)  # a coarse time base rounds
    assert (np.diff(recording.pts) > 0).all() and recording.time[0] == 0


def test_every_frame_is_delivered_once_in_order(name: str, decoder: str, recordings) -> None:
    recording, case, count = recordings(name), CASES[name], DecodeCount()
    everything = np.arange(len(recording))
    if decoder == "decord" and case.refused:
        with pytest.raises(VideoError, match=f"(?s){case.refused}.*use --decoder av"):
            shown_numbers(recording, everything, decoder)
        return
    batches = list(decode(recording, everything, decoder=decoder, batch=7, count=count))
    assert [len(part) for part in batches] == [7] * (len(recording) // 7) + [len(recording) % 7][
        : len(recording) % 7
    ]
    for part in batches:
        assert part.images.shape == (len(part), recording.height, recording.width, 3)
        assert part.images.dtype == np.uint8 and part.images.flags.c_contiguous
        assert np.array_equal(part.pts, recording.pts[part.frame])
        assert np.array_equal(part.time, recording.time[part.frame])
    assert np.concatenate([part.frame for part in batches]).tolist() == everything.tolist()
    assert [read(image) for part in batches for image in part.images] == list(case.numbers)
    assert count == DecodeCount(decoded=len(recording), damaged_packets=0, missing=0)


@pytest.mark.parametrize(
    ("name", "decoder"),
    [
        (name, decoder)
        for name, case in CASES.items()
        for decoder in DECODERS
        if decoder == "av" or not case.refused
    ],
)
@pytest.mark.parametrize(
    "wanted", [[0], [-1], [20], [11, 12, 13], [5, 17, 22], range(25, 28), range(2, 24, 5)]
)
def test_a_share_of_the_frames_has_the_same_pixels_as_all_of_them(
    name: str, decoder: str, wanted, recordings, whole
) -> None:
    recording = recordings(name)
    wanted = np.array([k % len(recording) for k in wanted])
    wanted = wanted[np.diff(wanted, prepend=-1) > 0]
    share = np.concatenate([part.images for part in decode(recording, wanted, decoder=decoder, batch=2)])
    assert np.array_equal(share, whole(name, decoder)[wanted])


@pytest.mark.parametrize(
    "plain",
    [
        n
        for n, c in CASES.items()
        if c.suffix in ("mp4", "webm", "mov", "ts", "mkv")
        and c.make is write
        and len(c.clips) == 1
        and "turned" not in n
        and "wide" not in n
    ],
)
def test_pixels_are_those_of_an_ordinary_sequential_loop(plain: str, recordings) -> None:
    recording = recordings(plain)
    with av.open(str(recording.path)) as container:
        expected = {frame.pts: frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    wanted = np.arange(3, len(recording), 6)
    for part in decode(recording, wanted):
        for pts, image in zip(part.pts.tolist(), part.images, strict=True):
            assert np.array_equal(image, expected[pts])


def test_sampled_instants_show_what_is_displayed_then(name: str, recordings) -> None:
    recording, case = recordings(name), CASES[name]
    wanted = select(recording, Sampling(5))
    instants = np.arange(0, recording.duration_s - 1e-9, 0.2)
    displayed = sorted({int(np.flatnonzero(recording.time <= t + 1e-9)[-1]) for t in instants})
    assert shown_numbers(recording, wanted, "av") == [case.numbers[i] for i in displayed]


def test_nothing_wanted_gives_nothing(decoder: str, recordings) -> None:
    assert list(decode(recordings("h264 with B-frames"), np.array([], dtype=np.int64), decoder=decoder)) == []


def test_a_reader_that_stops_early_leaves_nothing_open(decoder: str, recordings) -> None:
    recording = recordings("h264 with B-frames")
    batches = decode(recording, np.arange(48), decoder=decoder, batch=2)
    assert next(batches).frame.tolist() == [0, 1]
    batches.close()
    links = [link.resolve().name for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert recording.path.name not in links


def test_batches_do_not_share_memory(decoder: str, recordings) -> None:
    first, second = list(decode(recordings("h264 with B-frames"), np.arange(8), decoder=decoder, batch=4))
    assert not np.shares_memory(first.images, second.images)


@pytest.mark.parametrize(
    ("wanted", "options", "sentence"),
    [
        ([3, 3], {}, "must increase"),
        ([-1], {}, "must increase"),
        ([48], {}, r"within 0\.\.47"),
        ([0], {"decoder": "cv"}, "unknown decoder 'cv'; known: av, decord"),
        ([0], {"batch": 0}, "at least one frame"),
    ],
)
def test_nonsense_is_refused_at_once(wanted, options, sentence: str, recordings) -> None:
    call = partial(decode, recordings("h264 with B-frames"), np.array(wanted), **options)
    with pytest.raises(VideoError, match=sentence):
        call()
