"""A short clip to try the product on, made from photographs that its dependencies install: nothing is downloaded.

First a gallery of four tiles as in a video call, then a slow pan over a group; 1280 x 720, 12 s, 25 frames a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.files import write_aside

WIDTH, HEIGHT, FPS = 1280, 720, 25
GALLERY_S, PAN_S = 6, 6
PHOTOGRAPHS = {
    "zidane": ("ultralytics", "assets/zidane.jpg"),
    "bus": ("ultralytics", "assets/bus.jpg"),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
# The tiles of the gallery: a photograph, and the 16:9 part of it (x1, y1, width in pixels) that the tile shows.
TILES = (("hopper", 20, 110, 470), ("zidane", 640, 20, 560), ("zidane", 190, 120, 620), ("bus", 20, 330, 400))


def write_clip(path: Path) -> None:
    """Write the clip as H.264 in MP4. Raises CrowdmoodError when the photographs are not installed."""
    photographs = {name: _photograph(*where) for name, where in PHOTOGRAPHS.items()}
    with write_aside(path) as aside, av.open(str(aside), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in [*gallery(photographs), *pan(photographs)]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def gallery(photographs: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Frames uint8 (720, 1280, 3) of a 2 x 2 gallery in which every camera sways a little."""
    for step in range(GALLERY_S * FPS):
        rows = [np.hstack([_tile(photographs, number, step) for number in pair]) for pair in ((0, 1), (2, 3))]
        yield np.vstack(rows)


def pan(photographs: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Frames uint8 (720, 1280, 3) of a camera that goes slowly over three photographs side by side."""
    group = np.hstack([_to_height(photographs[name], HEIGHT) for name in ("bus", "zidane", "hopper")])
    for position in np.linspace(0, group.shape[1] - WIDTH, PAN_S * FPS).round().astype(int):
        yield np.ascontiguousarray(group[:, position:position + WIDTH])


def _tile(photographs: dict[str, np.ndarray], number: int, step: int) -> np.ndarray:
    name, x, y, width = TILES[number]
    sway = 6 * np.sin(2 * np.pi * step / FPS / (2.5 + number) + number)
    corners = np.float32([[x + sway, y], [x + sway + width, y], [x + sway, y + width * 9 / 16]])
    target = np.float32([[0, 0], [WIDTH / 2, 0], [0, HEIGHT / 2]])
    turn = cv2.getAffineTransform(corners, target)
    tile = cv2.warpAffine(photographs[name], turn, (WIDTH // 2, HEIGHT // 2), flags=cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)
    return cv2.rectangle(tile, (0, 0), (WIDTH // 2 - 1, HEIGHT // 2 - 1), (20, 20, 20), 4)


def _to_height(image: np.ndarray, height: int) -> np.ndarray:
    width = round(image.shape[1] * height / image.shape[0])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _photograph(package: str, inside: str) -> np.ndarray:
    """A photograph that a package installs, uint8 (h, w, 3) RGB. The package is found, not imported."""
    spec = find_spec(package)
    path = Path(spec.submodule_search_locations[0]) / inside if spec else Path(inside)
    image = cv2.imread(str(path))
    if image is None:
        raise CrowdmoodError(f"{path} is missing, so the demo clip cannot be made; analyze a video of your own: "
                             "crowdmood analyze VIDEO")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
