"""Live pictures: followed, smoothed, batched, dropped rather than queued; smart selfies; and `crowdmood live`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from queue import SimpleQueue

import cv2
import numpy as np
import pytest
from PIL import Image

from crowdmood.errors import CrowdmoodError
from crowdmood.labels import EXPRESSIONS
from crowdmood.live.cameras import pictures
from crowdmood.live.following import NUMBERED, SMOOTH_S, Follower
from crowdmood.live.jpeg import MOST_BYTES, BadPicture, decoded
from crowdmood.live.loop import Loop
from crowdmood.live.mood import RunningMix
from crowdmood.live.pace import Pace
from crowdmood.live.selfie import GAP_S, PAUSE_S, Trigger, Wish
from crowdmood.live.sight import USUAL, Seen, look_at, open_sight
from crowdmood.live.viewer import View
from crowdmood.options import Execution, Options
from crowdmood.stills import stills
from crowdmood.video import probe
from tests.rtsp_server import rtsp_camera

WAIT_S = 120.0
HAPPY, SAD = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def seen(*faces: tuple[float, int], usable: bool = True) -> Seen:
    """A picture with faces at these places (x), each showing one expression."""
    box = np.array([[x, 100, x + 80, 190] for x, _ in faces], np.float32).reshape(-1, 4)
    probability = np.eye(len(EXPRESSIONS), dtype=np.float32)[[name for _, name in faces]].reshape(-1, len(EXPRESSIONS))
    return Seen(640, 480, box, np.full(len(faces), 0.8, np.float32), probability, np.full(len(faces), usable))


@pytest.fixture(scope="module")
def gallery(clip) -> np.ndarray:
    """A frame of the demo clip: uint8 (720, 1280, 3), four faces or five."""
    return next(stills(clip, [20]))[1]


@pytest.fixture(scope="module")
def loop():
    running = Loop(USUAL, Execution(device="cpu", threads=1))
    running.wait_until_ready()
    yield running
    running.stop()


def test_a_picture_is_looked_at_before_it_is_decoded(gallery, tmp_path):
    assert decoded(jpeg(gallery)).shape == gallery.shape
    assert np.abs(decoded(jpeg(gallery)).astype(int) - gallery).mean() < 5  # red is red
    Image.new("L", (30_000, 30_000)).save(tmp_path / "bomb.jpg", quality=1)
    bomb = (tmp_path / "bomb.jpg").read_bytes()
    png = cv2.imencode(".png", gallery)[1].tobytes()
    for content, words in ((bomb[:4000], "million pixels"), (png, "no JPEG"), (b"", "no JPEG"), (b"\xff\xd8", "no JPEG"),
                           (bytes(MOST_BYTES + 1), "MB at most")):
        with pytest.raises(BadPicture, match=words):
            decoded(content)


def test_faces_keep_their_numbers_and_get_one_only_when_they_stay():
    follower = Follower()
    numbers = [follower.see(seen((50 + 4 * at, HAPPY), (400, SAD)), at / 5).number.tolist() for at in range(6)]
    assert numbers[:NUMBERED - 1] == [[0, 0]] * (NUMBERED - 1)
    assert numbers[NUMBERED - 1:] == [[1, 2]] * (6 - NUMBERED + 1)
    follower.see(seen((400, SAD), (250, HAPPY)), 1.2)  # a false face, seen once
    assert follower.see(seen((400, SAD)), 1.4).number.tolist() == [2]
    back = [follower.see(seen((80, HAPPY), (400, SAD)), 20 + at / 5).number.tolist() for at in range(NUMBERED)]
    assert back[-1] == [3, 4]  # who was away is somebody new


def test_a_reading_fades_and_an_unreadable_face_is_uncertain():
    follower = Follower()
    follower.see(seen((50, HAPPY)), 0.0)
    after = follower.see(seen((50, SAD)), SMOOTH_S)
    assert after.probability[0, HAPPY] == pytest.approx(np.exp(-1), abs=1e-3)
    assert after.probability.sum() == pytest.approx(1, abs=1e-3)
    assert after.name.tolist() == ["sad"]
    assert follower.see(seen((50, SAD), usable=False), 2 * SMOOTH_S).name.tolist() == ["uncertain"]
    assert len(follower.see(seen(), 0.9).number) == 0


def test_the_running_mix_is_the_mean_over_readings_of_its_window():
    running = RunningMix(window_s=1.0)
    running.see(seen((50, HAPPY), (200, HAPPY), (400, SAD)), 0.0)
    running.see(seen((50, SAD)), 0.5)
    running.see(seen((50, SAD), usable=False), 0.6)
    assert running.faces == 4
    assert running.mix[[HAPPY, SAD]].tolist() == pytest.approx([0.5, 0.5])
    running.see(seen(), 1.2)
    assert running.mix[SAD] == 1.0
    running.see(seen(), 9.0)
    assert running.mix is None


def due(trigger: Trigger, *shown: tuple[float, list[str]]) -> list[float]:
    """The times at which a picture is due."""
    return [time for time, names in shown if trigger.see(np.array(names, object), time)[1]]


def test_a_selfie_is_due_when_all_have_shown_it_for_a_while():
    both, one = ["happy", "happy"], ["happy", "sad"]
    assert due(Trigger(Wish()), (0, both), (0.2, both), (0.4, both), (0.6, both), (0.8, both)) == [0.6]
    assert due(Trigger(Wish()), (0, both), (0.4, one), (0.6, both), (1.0, both), (1.1, both)) == [1.1]
    assert due(Trigger(Wish(least=2)), (0, ["happy", "uncertain"]), (0.6, ["happy", "uncertain"])) == []
    assert due(Trigger(Wish()), (0, ["happy", "uncertain"]), (0.6, ["happy", "uncertain"])) == [0.6]
    assert due(Trigger(Wish()), (0, []), (0.6, [])) == []
    assert due(Trigger(Wish("sad", hold_s=0)), (0, ["sad"])) == [0]


def test_a_selfie_is_not_due_after_a_gap_nor_again_while_nothing_has_changed():
    both, none = ["happy", "happy"], ["sad"]
    assert due(Trigger(Wish()), (0, both), (GAP_S + 0.1, both), (GAP_S + 0.5, both), (GAP_S + 0.7, both)) == [GAP_S + 0.7]
    assert due(Trigger(Wish()), *((at / 5, both) for at in range(100))) == [0.6]
    again = due(Trigger(Wish()), *((at / 5, none if at == 5 else both) for at in range(40)))
    assert again == [0.6, pytest.approx(0.6 + PAUSE_S)]


@pytest.mark.parametrize("wish", [{"expression": "joy"}, {"least": 0}, {"hold_s": -1}, {"hold_s": 61}])
def test_a_wish_that_makes_no_sense_is_refused(wish):
    with pytest.raises(CrowdmoodError):
        Wish(**wish)


def test_pace_is_of_the_last_seconds():
    pace = Pace()
    for at in range(20):
        pace.look(at / 5, at / 5 + 0.01, at / 5 + 0.05)
    assert pace.rate(4.0) == pytest.approx(5, rel=0.01)
    assert pace.latency(4.0) == pytest.approx(0.05)
    assert pace.rate(60.0) == 0 and pace.latency(60.0) is None


def test_pictures_of_all_sizes_are_looked_at_together_and_each_as_if_alone(gallery):
    eyes, _ = open_sight(USUAL, Execution(device="cpu", threads=1))
    small, tall = cv2.resize(gallery, (640, 360)), np.ascontiguousarray(gallery[:, :500])
    together = look_at([gallery, small, np.zeros((90, 120, 3), np.uint8), tall], eyes)
    assert [len(one.box) for one in together][2] == 0
    for image, one in zip((gallery, small, None, tall), together, strict=True):
        if image is not None:
            alone, = look_at([image], eyes)
            assert len(alone.box) and (one.width, one.height) == image.shape[1::-1]
            np.testing.assert_allclose(one.box, alone.box, atol=0.01)
            np.testing.assert_allclose(one.probability, alone.probability, atol=1e-4)
    assert len(together[0].box) == len(together[1].box) >= 4
    assert np.abs(together[0].box / 2 - together[1].box).max() < 6


def test_the_newest_picture_of_each_viewer_is_answered_and_nothing_queues(loop, gallery):
    busy, calm, busy_views, calm_views = None, None, SimpleQueue(), SimpleQueue()
    busy, calm = loop.join(busy_views.put), loop.join(calm_views.put, Wish("neutral", hold_s=0))
    try:
        with loop._changed:  # the loop cannot look meanwhile
            for _ in range(50):
                busy.take(jpeg(gallery), None)
            loop._changed.notify()
        loop.show(calm, gallery)
        view: View = busy_views.get(timeout=WAIT_S)
        assert view.answer["picture"] == 49 and view.answer["pace"]["dropped"] == 49
        assert [face["number"] for face in view.answer["faces"]] == [None] * len(view.answer["faces"])
        assert view.answer["read"] >= 4 and sum(view.answer["mix"].values()) == pytest.approx(1, abs=0.01)
        view = calm_views.get(timeout=WAIT_S)
        assert view.answer["picture"] == 0 and view.answer["pace"]["dropped"] == 0 and view.shown.picture is gallery
        assert set(view.answer["selfie"]) == {"expression", "held_s", "due"}
        json.dumps(view.answer)
        assert busy_views.empty()
    finally:
        loop.leave(busy)
        loop.leave(calm)


def test_who_floods_the_loop_does_not_starve_others_and_nonsense_ends_nothing(loop, gallery):
    flood, calm, stop = SimpleQueue(), SimpleQueue(), threading.Event()
    small = jpeg(cv2.resize(gallery, (320, 180)))
    rude, patient = loop.join(flood.put), loop.join(calm.put)

    def show() -> None:
        while not stop.wait(0.001):
            loop.show(rude, b"nonsense")

    thread = threading.Thread(target=show)
    thread.start()
    try:
        for at in range(5):
            loop.show(patient, small)
            assert calm.get(timeout=WAIT_S).answer["picture"] == at
        assert "no JPEG" in flood.get(timeout=WAIT_S).answer["error"]
        figures = loop.figures()
        assert figures["viewers"] == 2 and figures["latency_ms"] > 0
    finally:
        stop.set()
        thread.join()
        loop.leave(rude)
        loop.leave(patient)


def test_a_loop_without_networks_says_so_to_everyone(tmp_path):
    broken, views = Loop(Options(expression=str(tmp_path))), SimpleQueue()
    try:
        viewer = broken.join(views.put)
        for _ in range(2):
            broken.show(viewer, b"")
            assert str(tmp_path) in views.get(timeout=WAIT_S).answer["error"]
        with pytest.raises(CrowdmoodError, match=str(tmp_path)):
            broken.wait_until_ready()
    finally:
        broken.stop()


def test_live_plays_a_recording_and_saves_the_very_frame(clip, tmp_path):
    done = run("--camera", str(clip), "--json", "--seconds", "0.8", "--save", str(tmp_path / "selfies"), "--when", "neutral", "--least", "3", "--for", "0")
    assert done.returncode == 0, done.stderr
    assert "tell everyone" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(one["time_s"] < other["time_s"] for one, other in pairwise(lines))
    saved = [line for line in lines if "saved" in line]
    assert len(saved) == 1 and saved[0]["selfie"]["due"]
    taken = np.asarray(Image.open(saved[0]["saved"]))
    frame = probe(clip)
    truth = next(stills(clip, [int(np.abs(frame.time - saved[0]["time_s"]).argmin())]))[1]
    assert taken.shape == truth.shape and np.abs(taken.astype(int) - truth).mean() < 4
    assert len(list((tmp_path / "selfies").iterdir())) == 1


def test_live_ends_well_at_ctrl_c(clip):
    process = subprocess.Popen([sys.executable, "-m", "crowdmood", "live", "--camera", str(clip)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "faces" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0 and "looked at" in errors and "Traceback" not in errors


@pytest.mark.parametrize(("source", "words"), [("977", "no camera 977|camera 977 cannot be opened"), ("nothing.mp4", "no such file"),
                                               ("rtsp://me:secret@127.0.0.1:9/x", "rtsp://127.0.0.1:9/x cannot be opened")])
def test_a_source_that_is_not_there_is_a_sentence(source, words):
    with pytest.raises(CrowdmoodError, match=words):
        next(pictures(source, 5, threading.Event()))


class Stream(BaseHTTPRequestHandler):
    """A camera on the network, as many are: JPEGs in an endless multipart answer. content: set by the test."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(40):
            try:
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(self.content), self.content))
            except OSError:
                return

    def log_message(self, *_) -> None:
        """Silent."""


def test_a_camera_on_the_network_is_read_until_it_ends(gallery):
    Stream.content = jpeg(gallery)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        taken = pictures(f"http://127.0.0.1:{server.server_port}/camera", 50, threading.Event())
        (first, one), (second, _) = next(taken), next(taken)
        assert second > first >= 0 and np.abs(one.astype(int) - gallery).mean() < 6
        with pytest.raises(CrowdmoodError, match="gives no more pictures"):
            for _ in taken:
                pass
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_camera_that_speaks_rtsp_is_read_and_its_password_not_told(gallery):
    small = cv2.resize(gallery, (640, 360))
    with rtsp_camera(small, 1) as (port, asked), pytest.raises(CrowdmoodError, match=f"rtsp://127.0.0.1:{port}/live gives no more pictures"):
        for number, (_, image) in enumerate(pictures(f"rtsp://me:secret@127.0.0.1:{port}/live", 10, threading.Event())):
            assert np.abs(image.astype(int) - small).mean() < 8
            assert number < 25 and asked


def run(*options: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "crowdmood", "live", *options], check=False, capture_output=True, text=True, timeout=300)
