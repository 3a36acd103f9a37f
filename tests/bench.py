"""Speed and memory, as ratios in one run: `make bench`.

    python tests/bench.py                 stages, whole job and a naive baseline, on real clips when they are there
    python tests/bench.py --memory        peak memory of a 4-minute and a 20-minute recording
    python tests/bench.py VIDEO...        the same on your own videos

Times on a shared machine are noisy: everything is run in turns, and the medians of the turns are printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import cv2
import numpy as np

from crowdmood import analysis, catalog
from crowdmood.demo import write_clip
from crowdmood.expressions import CropSettings, classify, crop, crop_faces
from crowdmood.faces import detect
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import EXPRESSION_NET, FACE_DETECTOR, find_model
from crowdmood.options import Execution, Options
from crowdmood.runtimes import choose_device
from crowdmood.scan import batch_size, open_eyes
from crowdmood.video import Sampling, decode, probe, select

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.clips import repeat  # noqa: E402

MEDIA = Path(os.environ.get("CROWDMOOD_MEDIA", Path(__file__).resolve().parents[2] / "shared" / "media"))
CLIPS = ("crowd/a01_street_market_facenet.mp4", "crowd/a14_googlework_street_and_interview.mp4",
         "meeting/b01_zoom_gallery_2x2.mp4", "faces/c16_clm_cap13.webm")
STAGES = ("decode", "detect", "classify", "whole job", "naive")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("videos", nargs="*", type=Path)
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--sample-fps", type=float, default=5.0)
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--memory", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.memory:
            memory(Path(folder))
            return
        videos = given.videos or [MEDIA / clip for clip in CLIPS if (MEDIA / clip).is_file()]
        if not videos:
            write_clip(Path(folder) / "demo.mp4")
            videos = [Path(folder) / "demo.mp4"]
        # Without tiles: the naive baseline looks at each frame once, and both are to do the same work.
        speed(videos, Options(sample_fps=given.sample_fps, tiles="off"), Execution(device=given.device), given.turns)


def speed(videos: list[Path], options: Options, execution: Execution, turns: int) -> None:
    """Print seconds per stage and the two ratios, for each video and for all of them together."""
    device = choose_device(execution.device, execution.runtime, execution.threads)
    print(f"{device.name}, {device.runtime}, {device.threads} threads; median of {turns} turns; seconds")
    print(f"{'video':<28}{'frames':>7}{'faces':>7}" + "".join(f"{stage:>10}" for stage in STAGES)
          + f"{'whole/sum':>11}{'naive/whole':>12}")
    totals = dict.fromkeys(STAGES, 0.0)
    for video in videos:
        frames, faces, seconds = measure(video, options, execution, turns)
        for stage in STAGES:
            totals[stage] += seconds[stage]
        show(video.name[:26], frames, faces, seconds)
    show("all", 0, 0, totals)


def show(name: str, frames: int, faces: int, seconds: dict[str, float]) -> None:
    alone = seconds["decode"] + seconds["detect"] + seconds["classify"]
    print(f"{name:<28}{frames or '':>7}{faces or '':>7}" + "".join(f"{seconds[stage]:>10.2f}" for stage in STAGES)
          + f"{seconds['whole job'] / alone:>11.2f}{seconds['naive'] / seconds['whole job']:>12.2f}", flush=True)


def measure(video: Path, options: Options, execution: Execution, turns: int) -> tuple[int, int, dict[str, float]]:
    """Median seconds of every stage. Networks are loaded and warm before anything is timed."""
    device = choose_device(execution.device, execution.runtime, execution.threads)
    eyes = open_eyes(options, device)
    recording = probe(video)
    size = batch_size(recording, device)
    wanted = select(recording, Sampling(options.sample_fps))
    batches = list(decode(recording, wanted, batch=size))
    found = [detect(batch.images, eyes.detector, eyes.detect) for batch in batches]
    stages = {
        "decode": lambda: [None for _ in decode(recording, wanted, batch=size)],
        "detect": lambda: [detect(batch.images, eyes.detector, eyes.detect) for batch in batches],
        "classify": lambda: classify(np.concatenate([crop_faces(batch.images, faces, eyes.crop) for batch, faces
                                                     in zip(batches, found, strict=True)]),
                                     eyes.classifier, eyes.temperature),
        "whole job": whole_job(video, options, execution, turns),
        "naive": naive(video, wanted),
    }
    times = {stage: [] for stage in stages}
    for _ in range(turns):
        for stage, work in stages.items():
            times[stage].append(timed(work))
    return len(wanted), sum(map(len, found)), {stage: median(values) for stage, values in times.items()}


def timed(work: Callable) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def whole_job(video: Path, options: Options, execution: Execution, turns: int) -> Callable:
    """All of `analyze` but the report, each time into a results folder that is there and knows nothing of the run."""
    folders = [Path(tempfile.mkdtemp()) for _ in range(turns)]
    for folder in folders:
        catalog.refresh(folder)

    def work() -> None:
        results = folders.pop()
        analysis.analyze(video, options, execution, results)
        shutil.rmtree(results)

    return work


def naive(video: Path, wanted: np.ndarray) -> Callable:
    """What a good engineer writes in a day: OpenCV, YOLO.predict per frame, the net per face, rows in pandas.

    Both networks are the shipped ones, in eager torch, loaded before the clock starts.
    """
    import pandas
    import torch
    from safetensors.torch import load_file

    from crowdmood.expression_net import expression_network
    from crowdmood.yolo_net import ARCHITECTURE, new_face_network, quiet_ultralytics

    face, expression = find_model(FACE_DETECTOR), find_model(EXPRESSION_NET)
    detector = quiet_ultralytics().YOLO(f"{ARCHITECTURE}.yaml", verbose=False)
    detector.model = new_face_network()
    detector.model.load_state_dict({name: tensor.float() for name, tensor
                                    in load_file(face.file("weights.safetensors")).items()}, strict=False)
    net = expression_network(expression.file("weights.safetensors")).eval()
    square = CropSettings(expression.card["input"]["margin"], expression.card["input"]["shift_y"])
    chosen = set(wanted.tolist())

    def work() -> pandas.DataFrame:
        rows, capture, number = [], cv2.VideoCapture(str(video)), 0
        while True:
            ok, frame = capture.read()
            if not ok:
                return pandas.DataFrame(rows)
            if number in chosen:
                result = detector.predict(frame, imgsz=640, conf=0.3, verbose=False)[0]
                for box in result.boxes.xyxy.numpy():
                    grey = crop(frame[..., ::-1], box, square)
                    with torch.inference_mode():
                        shown = net(torch.from_numpy(grey).float()[None, None]).softmax(1)[0]
                    rows.append({"frame": number, "time": number / capture.get(cv2.CAP_PROP_FPS), "box": box,
                                 **dict(zip(EXPRESSIONS, shown.tolist(), strict=True))})
            number += 1

    detector.predict(np.zeros((720, 1280, 3), np.uint8), verbose=False)
    return work


def memory(folder: Path) -> None:
    """Print the peak memory of analyzing 4 and 20 minutes of 720p, each in a process of its own."""
    write_clip(folder / "clip.mp4")
    peaks = {}
    for minutes in (4, 20):
        video = repeat(folder / "clip.mp4", folder / f"{minutes}.mp4", minutes * 60)
        peaks[minutes] = peak_mib([sys.executable, "-m", "crowdmood", "analyze", str(video), "--no-report", "--quiet",
                                   "--device", "cpu", "--results", str(folder / "results")])
        print(f"{minutes:>3} minutes: {peaks[minutes]:.0f} MiB", flush=True)
    print(f"20 minutes / 4 minutes: {peaks[20] / peaks[4]:.3f} (bar 1.03); peak {peaks[20]:.0f} MiB (bar 1536)")


def peak_mib(command: list[str]) -> float:
    """Run a command and return the largest memory (resident set) it had, MiB.

    Read from /proc while it runs: what wait4 tells includes this process, from which the command was forked.
    """
    process, peak = subprocess.Popen(command, stdout=subprocess.DEVNULL), 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return peak / 1024


if __name__ == "__main__":
    main()
