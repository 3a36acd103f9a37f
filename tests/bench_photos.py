"""How much faster a folder of photos is ranked than a loop over its files: `python tests/bench_photos.py [--photos 5000] [--loop 300]`.

Not a test: run it by hand on a machine that does nothing else. Photos are made from photographs that dependencies install, at the sizes
of phones and cameras, each file of its own content. Compared are, in photos a second on the same device with the same threads:

  folder   crowdmood.photos.runs.analyze_photos: everything that `photos rank` does before it ranks, tables included
  loop     networks loaded once; then file by file: decoded as it is, faces found, faces read. Nothing is stored
  lean     the same, the expression net loaded for one face at a time; the product's takes 16 at once, however few there are
  process  `crowdmood photos show FILE` for each file, as a shell loop does
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from PIL import Image, ImageOps

from crowdmood.demo import PHOTOGRAPHS, _photograph
from crowdmood.expressions import classify, crop_faces, judge
from crowdmood.faces import detect
from crowdmood.models import EXPRESSION_NET, find_model
from crowdmood.options import Execution
from crowdmood.photos.runs import USUAL, analyze_photos
from crowdmood.runtimes import choose_device, load_network
from crowdmood.scan import Eyes, open_eyes
from crowdmood.video import isolation

SIZES = ((4000, 3000), (3000, 4000), (4032, 2268), (6000, 4000), (1600, 1200), (1080, 1350))


def make_photos(folder: Path, count: int) -> list[Path]:
    """Write JPEGs of several sizes; no two have the same content."""
    rng = np.random.default_rng(7)
    pictures = [_photograph(*where) for where in PHOTOGRAPHS.values()]
    kinds = []
    for number, size in enumerate(SIZES * 2):
        image = ImageOps.fit(Image.fromarray(pictures[number % len(pictures)]), size, Image.Resampling.BICUBIC)
        noise = rng.normal(0, 5, (size[1], size[0], 1))  # or it would be smoother than a photo, and read faster
        held = BytesIO()
        Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)).save(held, "JPEG", quality=88)
        kinds.append(held.getvalue())
    paths = [folder / f"{number % 20:02}" / f"IMG_{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(kinds[number % len(kinds)] + str(number).encode())  # behind the picture's end: another digest
    return paths


def look_at_one(path: Path, eyes: Eyes) -> int:
    """What a simple program does with a photo."""
    with Image.open(path) as file:
        image = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))[None]
    faces = detect(image, eyes.detector, eyes.detect)
    crops = crop_faces(image, faces, eyes.crop)
    judge(faces, crops, classify(crops, eyes.classifier, eyes.temperature), eyes.usable)
    return len(faces)


def rate(what: str, count: int, work: Callable[[], object]) -> float:
    """Photos a second; printed, with the CPU time of this process and its children, which others on the machine hardly change."""
    began, spent = perf_counter(), cpu_seconds()
    work()
    found = count / (perf_counter() - began)
    print(f"| {what} | {count} | {found:.2f} | {1000 / found:.0f} | {1000 * (cpu_seconds() - spent) / count:.0f} |", flush=True)
    return found


def cpu_seconds() -> float:
    """Of this process and all processes that it has started and seen end."""
    isolation._end_idle()  # those that decode
    return sum(os.times()[:4])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--loop", type=int, default=300, help="how many of them the loop does")
    parser.add_argument("--processes", type=int, default=5, help="how many of them processes of their own do, one or more")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    with TemporaryDirectory() as place:
        paths = make_photos(Path(place) / "photos", asked.photos)
        device = choose_device(asked.device, threads=asked.threads)
        eyes = open_eyes(USUAL, device)
        for path in paths[:len(SIZES) * 2]:  # what is made for each size once is no part of the comparison
            look_at_one(path, eyes)
        print(f"{device}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n\n| way | photos | photos/s | ms/photo | CPU ms/photo |\n|---|---|---|---|---|")
        loop = rate("loop", min(asked.loop, len(paths)), lambda: [look_at_one(path, eyes) for path in paths[:asked.loop]])
        lean = replace(eyes, classifier=load_network(find_model(EXPRESSION_NET), device))
        look_at_one(paths[0], lean)
        rate("lean", min(asked.loop, len(paths)), lambda: [look_at_one(path, lean) for path in paths[:asked.loop]])
        execution = Execution(device=asked.device, threads=asked.threads)
        folder = rate("folder", len(paths), lambda: analyze_photos([Path(place) / "photos"], USUAL, execution, Path(place) / "results"))
        again = rate("folder again", len(paths), lambda: analyze_photos([Path(place) / "photos"], USUAL, execution, Path(place) / "results"))
        few = paths[:asked.processes]
        process = rate("process", len(few), lambda: [
            subprocess.run([sys.executable, "-m", "crowdmood", "photos", "show", path], check=True, stdout=subprocess.DEVNULL) for path in few])
        print(f"\nfolder is {folder / loop:.1f} times as fast as the loop, {folder / process:.0f} times as fast as processes; "
              f"asked again {again / loop:.0f} times as fast as the loop")


if __name__ == "__main__":
    main()
