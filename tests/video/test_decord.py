"""decord: that a hang is noticed and ended, and that it is refused where it cannot be relied on."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from crowdmood.errors import VideoError
from crowdmood.video import decode, probe
from tests.videos import Clip, blank_media, cut, write
from tests.videos import read as shown

PLAIN = Clip(options={"g": "12", "bf": "0"})


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_process_that_stands_still_is_ended(tmp_path: Path, monkeypatch) -> None:
    """Stopped from outside: to the reader that is what decord's endless loop is, silence."""
    recording = probe(write(tmp_path / "clip.mp4", Clip(size=(640, 480), options={"g": "12", "bf": "0"})))
    before = children()
    monkeypatch.setenv("CROWDMOOD_STALL_S", "1")
    batches = decode(recording, np.arange(48), decoder="decord", batch=4)
    assert next(batches).frame.tolist() == [0, 1, 2, 3]
    (child,) = children() - before
    os.kill(int(child), signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(
        VideoError, match=r"clip.mp4: decord .* made no progress for 1 seconds near .*; use --decoder av"
    ):
        list(batches)
    assert 1 <= time.monotonic() - start < 15
    assert children() == before


def test_a_recording_that_promises_more_frames_than_it_has_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "promises.mp4", Clip(container={"movflags": "faststart"}, options={"g": "12", "bf": "0"})
    )
    whole = probe(path)
    recording = probe(cut(path, 0.8))
    assert recording.frames_promised == 48 > len(recording) > 10
    with pytest.raises(VideoError, match="it promises 48 frames and holds .*; use --decoder av"):
        list(decode(recording, np.arange(5), decoder="decord"))
    # and where it is cut only after it was looked at:
    with pytest.raises(VideoError, match="promises.mp4: decord .*; use --decoder av"):
        list(decode(whole, np.arange(48), decoder="decord"))


def test_repeated_frames_in_place_of_lost_ones_are_refused(tmp_path: Path) -> None:
    clip = Clip(codec="mpeg2video", options={"g": "12"}, numbers=range(96))
    recording = probe(blank_media(write(tmp_path / "hollow.mp4", clip), 0.6))
    batches = decode(recording, np.arange(96), decoder="decord", batch=4)
    got = []
    with pytest.raises(VideoError, match="repeats others instead; use --decoder av"):
        for part in batches:
            got += [shown(image) for image in part.images]
    assert len(got) > 20 and got == list(range(len(got)))


def test_a_slow_consumer_is_no_hang(tmp_path: Path, monkeypatch) -> None:
    recording = probe(write(tmp_path / "clip.mp4", PLAIN))
    monkeypatch.setenv("CROWDMOOD_STALL_S", "1.5")
    batches = decode(recording, np.arange(48), decoder="decord", batch=24)
    first = next(batches)
    time.sleep(2)
    assert len(first) + sum(len(part) for part in batches) == 48


def test_an_early_end_ends_the_process(tmp_path: Path) -> None:
    before = children()
    batches = decode(probe(write(tmp_path / "clip.mp4", PLAIN)), np.arange(48), decoder="decord", batch=2)
    next(batches)
    assert len(children()) == len(before) + 1
    batches.close()
    assert children() == before


def test_damage_is_refused_not_passed_over(tmp_path: Path) -> None:
    recording = probe(blank_media(write(tmp_path / "hurt.mp4", PLAIN), 0.5, 0.55))
    everything = partial(decode, recording, np.arange(48), decoder="decord")
    with pytest.raises(VideoError, match="use --decoder av"):
        list(everything())


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    recording = probe(blank_media(write(tmp_path / "hurt.mp4", PLAIN), 0.5, 0.55))
    capfd.readouterr()
    with pytest.raises(VideoError):
        list(decode(recording, np.arange(48), decoder="decord"))
    assert capfd.readouterr() == ("", "")
