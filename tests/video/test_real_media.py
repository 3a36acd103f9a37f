"""Real clips from phones, cameras, editors and broken tools: the facts that their notes state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from crowdmood.errors import VideoError
from crowdmood.video import DecodeCount, Sampling, decode, probe, select

# name: frames, first pts in seconds, width, height as displayed
FACTS = {
    "crowd/a01_street_market_facenet.mp4": (105, 0.0, 1920, 1080),
    "crowd/a07_three_walk_and_pause_intel.gif": (41, 0.0, 480, 270),
    "crowd/a10_stage_hamilton.mp4": (275, 0.852, 640, 360),
    "crowd/a14_googlework_street_and_interview.mp4": (1026, 0.834, 320, 180),
    "faces/c01_woman_cry_then_laugh_pexels.mp4": (472, 0.0, 640, 360),
    "faces/c02_man_neutral_to_smile.mp4": (72, 0.0, 640, 360),
    "faces/c03_face_then_noface.mov": (169, 0.0, 960, 540),
    "faces/c05_cartoon_no_face.mp4": (95, 0.0, 960, 540),
    "faces/c12_lp_d18_man_shout_sad.mp4": (216, 0.0, 480, 480),
    "faces/c16_clm_cap13.webm": (752, 0.0, 400, 300),
    "meeting/b01_zoom_gallery_2x2.mp4": (48, 0.0, 640, 360),
    "meeting/b08_two_people_headpose_intel.gif": (56, 0.0, 480, 270),
    "hard/d01_noduration_vfr_vp9.webm": (74, 0.0, 1280, 720),
    "hard/d02_vfr_h263.3gp": (222, 0.0, 192, 144),
    "hard/d03_vfr_slowmotion.mp4": (7, 0.0, 1280, 720),
    "hard/d04_rot0.mov": (3, 0.0, 568, 320),
    "hard/d05_rot90.mov": (3, 0.0, 320, 568),
    "hard/d06_rot180.mov": (3, 0.0, 568, 320),
    "hard/d07_rot270.mov": (3, 0.0, 320, 568),
    "hard/d10_editlist_preroll.mp4": (16, 0.0, 640, 360),
    "hard/d11_editlist_positive_shift.mp4": (270, 1.0, 1920, 1080),
    "hard/d13_dolbyvision_hdr_rot.MOV": (4, 0.0, 720, 1280),
    "hard/d14_two_video_streams_nasa.mp4": (390, 0.0, 480, 270),
    "hard/d15_empty_video_track.mp4": (30, 0.0, 1080, 720),
    "hard/d17_av1.mkv": (125, 0.0, 640, 360),
    "hard/d19_hevc_10bit.mp4": (30, 0.0, 200, 200),
    "hard/d20_h264_10bit.mp4": (30, 0.0, 200, 200),
    "hard/d21_vp9_10bit.webm": (72, 0.0, 426, 240),
    "hard/d22_vp9_odd_161x121.webm": (30, 0.0, 161, 121),
    "hard/d23_prores422_64x64.mov": (100, 0.0, 64, 64),
    "hard/d25_mpeg2_3frames.mpg": (3, 1.0, 640, 426),
    "hard/d26_h264_3frames.ts": (3, 1.4667, 640, 426),
    "hard/d28_corrupted_packet.mp4": (50, 0.0, 1280, 720),
    "hard/d29_invalid_nalu.mp4": (30, 0.0, 1080, 720),
    "hard/d42_avi_nonmonotonic_pts.avi": (58, None, 256, 144),
    "hard/d45_1x1_pixel.mp4": (5, 0.0, 1, 1),
    "hard/d47_fragmented.mp4": (30, 0.0667, 1080, 720),
    "hard/d51_long_362s_1080p_tiny.mp4": (10883, 0.0, 1920, 1080),
    "hard/d57_nonmonotonic_pts.mp4": (178, None, 144, 80),
    "hard/d59_black_10s.mp4": (300, 0.0, 320, 240),
}
UNUSABLE = {
    "hard/d30_invalid_bitstream_vp9.webm": "none of its video packets",
    "hard/d31_truncated_moov_but_no_frames.mp4": "promises 5544 frames, but no video data is there",
    "hard/d32_zero_bytes.mp4": "empty",
    "hard/d34_jpeg_renamed.mp4": "a picture, not a recording",
    "hard/d38_encrypted_cenc.mp4": "encrypted",
    "hard/d39_audio_only.mp4": r"no video \(found: 1 audio\)",
    "hard/d58_262_bytes_no_streams.mp4": "no streams at all",
    "photos/e01_az_faces.jpg": "a picture, not a recording",
    "photos/e30_corrupted.heic": "e30_corrupted.heic: ",
}
CUTS = {
    "crowd/a10_stage_hamilton.mp4": {20: 1.519, 82: 3.588, 211: 7.892},
    "crowd/a14_googlework_street_and_interview.mp4": {949: 32.50},
    "faces/c03_face_then_noface.mov": {72: 2.40, 73: 2.43},
}
DAMAGED = {
    "hard/d28_corrupted_packet.mp4": 49,
    "hard/d29_invalid_nalu.mp4": 26,
    "hard/d37_no_timescale_rotation_garbage.mp4": 160,
}
"""At least so many of their frames can be decoded."""
SHORT = [name for name, (frames, _, width, height) in FACTS.items() if frames * width * height < 1.2e8] + [
    *DAMAGED
]


@pytest.mark.parametrize("name", FACTS)
def test_facts(media: Path, name: str) -> None:
    frames, first, width, height = FACTS[name]
    recording = probe(media / name)
    assert (len(recording), recording.width, recording.height) == (frames, width, height)
    assert recording.time[0] == 0 and (np.diff(recording.pts) > 0).all()
    if first is not None:
        assert float(recording.pts[0] * recording.time_base) == pytest.approx(first, abs=5e-4)


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_files_get_one_sentence(media: Path, name: str) -> None:
    with pytest.raises(VideoError, match=UNUSABLE[name]) as raised:
        probe(media / name)
    assert "\n" not in str(raised.value) and Path(name).name in str(raised.value)


@pytest.mark.parametrize("name", CUTS)
def test_the_pictures_change_where_the_notes_say_there_is_a_cut(media: Path, name: str) -> None:
    recording = probe(media / name)
    for cut, at in CUTS[name].items():
        assert float(recording.pts[cut] * recording.time_base) == pytest.approx(at, abs=0.006)
        (part,) = decode(recording, np.arange(cut - 2, cut + 1))
        change = [
            np.abs(a.astype(int) - b).mean() for a, b in zip(part.images, part.images[1:], strict=False)
        ]
        assert change[1] > 3 * change[0] or change[1] > 25


@pytest.mark.parametrize("name", SHORT)
def test_shares_have_the_pixels_of_an_unbroken_careful_loop(media: Path, name: str) -> None:
    """Against a loop of its own: one thread, every packet; frames are known by the packet they came from."""
    recording = probe(media / name)
    expected = _frames_with_turns(recording)
    rng = np.random.default_rng(5)
    shares = [
        select(recording, Sampling(5)),
        *(np.arange(rng.integers(len(recording)), len(recording), step)[:20] for step in (1, 3, 7)),
    ]
    for wanted in shares:
        got = {
            n: image
            for part in decode(recording, wanted)
            for n, image in zip(part.frame.tolist(), part.images, strict=True)
        }
        assert got.keys() == set(wanted.tolist()) & expected.keys()
        for number, image in got.items():
            if expected[number] is not None:
                assert np.array_equal(image, expected[number])


def _frames_with_turns(recording) -> dict[int, np.ndarray | None]:
    """The frames by number, upright; None for a picture that is also scaled or whose colours are guessed."""
    number_of = {packet: number for number, packet in enumerate(recording.packet.tolist())}
    found, latest = {}, -1
    with av.open(str(recording.path)) as container:
        video = container.streams[recording.stream]
        video.thread_count = 1
        packets = [packet for packet in container.demux(video) if packet.size]
        for ordinal, packet in enumerate([*packets, None]):
            if packet:
                packet.pts = ordinal
            try:
                frames = video.codec_context.decode(packet)
            except av.FFmpegError:
                continue
            for frame in frames:
                number = number_of.get(frame.pts, -1)
                if number > latest:
                    found[number] = _upright(frame, recording)
                    latest = number
    return found


def _upright(frame: av.VideoFrame, recording) -> np.ndarray | None:
    image = np.rot90(frame.to_ndarray(format="rgb24"), -recording.rotation // 90)
    nameless_hd = frame.colorspace == 2 and (frame.width >= 1280 or frame.height > 576)
    return None if nameless_hd or image.shape[:2] != (recording.height, recording.width) else image


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_stepped_over_and_counted(media: Path, name: str) -> None:
    recording, count = probe(media / name), DecodeCount()
    frames = sum(len(part) for part in decode(recording, np.arange(len(recording)), count=count))
    assert frames == count.decoded >= DAMAGED[name]
    assert count.damaged_packets >= 1 and count.missing == len(recording) - frames


def test_the_uneven_steps_of_a_variable_rate_are_kept(media: Path) -> None:
    steps = np.diff(probe(media / "faces/c03_face_then_noface.mov").time)
    assert steps[:70] == pytest.approx(1 / 30, abs=1e-3) and steps[80:] == pytest.approx(1 / 24, abs=1e-3)
    slow = np.diff(probe(media / "hard/d02_vfr_h263.3gp").time)
    assert slow.min() == pytest.approx(0.004) and slow.max() == pytest.approx(0.304)


def test_the_larger_of_two_equal_streams_is_read(media: Path) -> None:
    assert probe(media / "hard/d14_two_video_streams_nasa.mp4").stream == 3


def test_nothing_comes_from_ffmpeg_on_stderr(media: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom crowdmood.video import decode, probe\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        recording = probe(name)\n"
        "        list(decode(recording, np.arange(len(recording))))\n"
        "    except Exception as error:\n        print(type(error).__name__)"
    )
    files = [media / name for name in [*DAMAGED, *UNUSABLE]]
    said = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert said.stderr == "" and said.stdout.split() == ["VideoError"] * len(UNUSABLE)


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("faces/c01_woman_cry_then_laugh_pexels.mp4", None),
        ("faces/c02_man_neutral_to_smile.mp4", None),
        ("hard/d05_rot90.mov", None),
        ("hard/d23_prores422_64x64.mov", None),
        ("faces/c05_cartoon_no_face.mp4", "not shown"),
        ("faces/c03_face_then_noface.mov", "not constant"),
        ("crowd/a10_stage_hamilton.mp4", "not at time 0"),
        ("hard/d14_two_video_streams_nasa.mp4", "several video"),
        ("hard/d17_av1.mkv", "fails to open"),
        ("hard/d28_corrupted_packet.mp4", "fails to open or to decode"),
    ],
)
def test_decord_gives_the_same_pictures_or_is_refused(media: Path, name: str, refused: str | None) -> None:
    recording = probe(media / name)
    wanted = np.arange(0, len(recording), 9)
    if refused:
        with pytest.raises(VideoError, match=f"{refused}.*use --decoder av"):
            list(decode(recording, wanted, decoder="decord"))
        return
    ours, theirs = (
        np.concatenate([part.images for part in decode(recording, wanted, decoder=decoder)])
        for decoder in ("av", "decord")
    )
    assert np.array_equal(ours, theirs)
