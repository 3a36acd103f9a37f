"""How far behind live pictures are: `crowdmood serve` on two cores, viewers who each send five pictures a second over the network.

    python tests/bench_live.py [--viewers 1 4 16] [--seconds 20] [--browser]

Latency is counted from when a picture is sent until its answer is read; encoding it, which each viewer does on a machine of its own,
is timed by itself and added. The bar: one viewer, 95 % of answers within 300 ms on two cores. The viewers run on the same cores unless
there are more. A busy machine makes every latency worse, so the load is printed, and what does not depend on it: the server's CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

import cv2
import numpy as np
from websockets.asyncio.client import connect

sys.path.insert(0, str(Path(__file__).parent.parent))

from crowdmood.demo import write_clip
from crowdmood.stills import stills
from tests.browser import Browser
from tests.web_server import Server, serving

FPS, BAR_MS, CORES = 5, 300, 2
SIDE = 960  # of what the page sends
MOST_UNANSWERED, MOST_WHERE_DROPPED = 3, 15  # more are not sent before an answer, as in the page
LOAD_S = 10


async def viewer(address: str, pictures: list[bytes], seconds: float, begin: float) -> tuple[list[tuple[float, ...]], int]:
    """One viewer. Returns latency, waiting and work in ms of each answer, and how many pictures it has sent."""
    sent: dict[int, float] = {}
    found: list[tuple[float, ...]] = []
    answered, dropped, most = 0, 0, MOST_UNANSWERED
    async with connect(address, max_size=None) as line:

        async def hear() -> None:
            nonlocal answered, dropped, most
            async for message in line:
                answer = json.loads(message)
                answered, before, dropped = answer["picture"] + 1, dropped, answer["pace"]["dropped"]
                most = MOST_WHERE_DROPPED if dropped > before else MOST_UNANSWERED
                pace = answer["pace"]
                found.append((1000 * (monotonic() - sent[answer["picture"]]), pace["waited_ms"], pace["took_ms"]))

        hearing = asyncio.create_task(hear())
        await asyncio.sleep(begin)
        until, due = monotonic() + seconds, monotonic()
        while monotonic() < until:
            if len(sent) - answered < most:
                picture = pictures[len(sent) % len(pictures)]
                sent[len(sent)] = monotonic()
                await line.send(picture)
            due += 1 / FPS
            await asyncio.sleep(max(0.0, due - monotonic()))
        await asyncio.sleep(1)
        hearing.cancel()
    return found, len(sent)


def encoded(image: np.ndarray) -> bytes:
    """A camera's picture, uint8 (h, w, 3) BGR, as the page sends it."""
    scale = SIDE / max(image.shape[:2])
    return cv2.imencode(".jpg", cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def encoding_ms(images: list[np.ndarray]) -> float:
    """How long it takes to make a picture ready to be sent, median."""
    def once(image: np.ndarray) -> float:
        began = monotonic()
        encoded(image)
        return 1000 * (monotonic() - began)

    return float(np.median([once(image) for image in images]))


async def measure(server: Server, pictures: list[bytes], count: int, seconds: float, encoding: float) -> bool:
    """Print the figures of so many viewers at once. Returns whether the bar holds."""
    address = server.address.replace("http", "ws") + "/api/live/pictures"
    before = cpu_s(server.process.pid)
    found = await asyncio.gather(*(viewer(address, pictures, seconds, at / count / FPS) for at in range(count)))
    used = cpu_s(server.process.pid) - before
    latencies, waited, took = np.array([one for answers, _ in found for one in answers]).T
    latencies += encoding
    rates = [len(answers) / seconds for answers, _ in found]
    middle, late = np.quantile(latencies, [0.5, 0.95])
    sent = sum(number for _, number in found)
    print(f"{count:>3} viewers: latency p50 {middle:4.0f} ms, p95 {late:4.0f} ms (of that waiting {np.median(waited):.0f}, work {np.median(took):.0f}); {min(rates):.1f} to {max(rates):.1f} pictures/s each, "
          f"{sum(rates):.1f} in all; {sent - len(latencies)} of {sent} dropped; "
          f"{1000 * used / len(latencies):.0f} ms of CPU a picture; load {os.getloadavg()[0]:.1f}")
    return late <= BAR_MS


def in_browser(server: Server, images: list[np.ndarray], folder: Path) -> None:
    """Print what the page itself shows, in a headless Chromium whose camera is the clip."""
    camera = folder / "camera.mjpeg"
    camera.write_bytes(b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in images))
    with Browser("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={camera}") as browser:
        browser.open(f"{server.address}/live")
        browser.click("#start")
        browser.wait_for("document.getElementById('pace').dataset.rate", 120)
        sleep(LOAD_S)
        print(f"the page: {browser.evaluate('document.getElementById(`pace`).textContent')}; load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Measure, and fail where the bar does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--browser", action="store_true", help="also look at the page in Chromium")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:CORES])  # the server inherits it
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clip(folder / "clip.mp4")
        images = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for _, image in stills(folder / "clip.mp4", range(0, 300, 5))]
        pictures, encoding = [encoded(image) for image in images], encoding_ms(images)
        with serving(folder / "results") as server:
            os.sched_setaffinity(0, cores[CORES:] or cores)
            print(f"server on {len(cores[:CORES])} of {len(cores)} cores, {FPS} pictures a second and viewer, {SIDE} pixels across; encoding one {encoding:.0f} ms")
            asyncio.run(viewer(server.address.replace("http", "ws") + "/api/live/pictures", pictures, 2, LOAD_S))  # loads the networks
            holds = [asyncio.run(measure(server, pictures, count, asked.seconds, encoding)) for count in asked.viewers]
            if asked.browser:
                in_browser(server, images, folder)
    if 1 in asked.viewers and not holds[asked.viewers.index(1)]:
        sys.exit(f"one viewer's p95 is above {BAR_MS} ms")


if __name__ == "__main__":
    main()
