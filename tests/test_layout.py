"""Tiles found in drawn meetings, their marks, and none where there is no meeting."""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
import pytest
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from crowdmood.layout.edges import find_edges
from crowdmood.layout.finding import NO_TILES, ROLES, Tiles, find_tiles
from crowdmood.layout.grids import _cells
from crowdmood.layout.marks import (
    LABEL_BYTES,
    LABEL_SAME,
    LOOK_BYTES,
    LOOK_SAME,
    label_distance,
    look_distance,
    read_names,
    speaker_frames,
)

NAMES = ("Ana Ruiz", "Chen Wei", "Dana Fox", "Erik", "Fatima Zahra", "Hiro Tanaka", "Kofi Mensah", "Marta Kowalska", "Nils Berg",
         "Priya Nair", "QUARK", "Viktor", "Wendy Zhao", "Yusuf Demir", "Uma Devi", "Lena Hart")
GREEN = (35, 217, 89)


def camera(size: tuple[int, int], seed: int) -> np.ndarray:
    """Somebody before a wall with a lamp's light on it, uint8 (h, w, 3)."""
    width, height = size
    rng = np.random.default_rng(seed)
    wall, shirt = rng.uniform(70, 210, 3), [int(level) for level in rng.uniform(20, 230, 3)]
    picture = np.ones((height, width, 3)) * wall * np.linspace(0.8, 1.1, width)[None, :, None]
    picture = np.ascontiguousarray(np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8))
    cv2.rectangle(picture, (int(width * 0.1), int(height * 0.1)), (int(width * 0.3), int(height * 0.5)), (90, 60, 40), -1)
    cv2.ellipse(picture, (width // 2, height), (width // 4, height // 2), 0, 0, 360, shirt, -1)
    cv2.circle(picture, (width // 2, height // 2), height // 5, (200, 160, 130), -1)
    return picture


def put(picture: np.ndarray, box: tuple[int, int, int, int], inside: np.ndarray, name: str, letters: int = 14) -> None:
    """Lay a tile into a picture, with a name bar in its lower left corner."""
    tile = Image.fromarray(inside)
    pen = ImageDraw.Draw(tile, "RGBA")
    font = ImageFont.truetype(findfont("DejaVu Sans"), letters)
    bar = round(letters * 1.5)
    if name:
        pen.rectangle((0, tile.height - bar, font.getlength(name) + letters * 0.7, tile.height), fill=(0, 0, 0, 150))
        pen.text((letters * 0.35, tile.height - bar / 2), name, font=font, fill=(255, 255, 255), anchor="lm")
    x1, y1, x2, y2 = box
    picture[y1:y2, x1:x2] = np.array(tile)


def grid(count: int, columns: int, size: tuple[int, int] = (1280, 720), gutter: int = 0) -> list[tuple[int, int, int, int]]:
    """Boxes of a centred grid, its last row centred, too."""
    rows = -(-count // columns)
    wide = min((size[0] - (columns - 1) * gutter) // columns, (size[1] - (rows - 1) * gutter) // rows * 16 // 9)
    high = wide * 9 // 16
    boxes = []
    for number in range(count):
        row, column = divmod(number, columns)
        in_row = min(columns, count - row * columns)
        x = (size[0] - in_row * wide - (in_row - 1) * gutter) // 2 + column * (wide + gutter)
        y = (size[1] - rows * high - (rows - 1) * gutter) // 2 + row * (high + gutter)
        boxes.append((x, y, x + wide, y + high))
    return boxes


def gallery(boxes: list, size: tuple[int, int] = (1280, 720), ground: int = 0, **changed) -> np.ndarray:
    """A gallery, uint8 (h, w, 3). changed: `off`, numbers of tiles whose camera is off; `names`, whether they have names."""
    picture = np.full((size[1], size[0], 3), ground, np.uint8)
    for number, box in enumerate(boxes):
        shape = (box[2] - box[0], box[3] - box[1])
        inside = camera(shape, number)
        if number in changed.get("off", ()):
            inside = np.full_like(inside, 36)
            cv2.circle(inside, (shape[0] // 2, shape[1] // 2), shape[1] // 4, (150, 80, 60), -1)
        put(picture, box, inside, NAMES[number % len(NAMES)] if changed.get("names", True) else "")
    return picture


def coded(picture: np.ndarray, quality: int = 30) -> np.ndarray:
    """The picture after H.264."""
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": str(quality), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    content.seek(0)
    with av.open(content) as container:
        return next(iter(container.decode(video=0))).to_ndarray(format="rgb24")


def overlaps(true: list, found: np.ndarray) -> np.ndarray:
    """Intersection over union, float (n, k)."""
    a, b = np.array(true, float)[:, None], found[None].astype(float)
    inside = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=2)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=2) for box in (a, b)]
    return inside / (areas[0] + areas[1] - inside)


def assert_found(true: list, tiles: Tiles) -> None:
    assert len(tiles) == len(true)
    assert (overlaps(true, tiles.box).max(axis=1) >= 0.9).all()


@pytest.mark.parametrize(("count", "columns", "size", "gutter", "ground"), [
    (2, 2, (1280, 720), 4, 26), (3, 2, (640, 360), 0, 0), (4, 2, (640, 360), 0, 0), (7, 3, (1280, 720), 6, 36),
    (16, 4, (1280, 720), 8, 26), (25, 5, (1920, 1080), 3, 0), (49, 7, (1920, 1080), 0, 0)])
def test_galleries_are_found(count, columns, size, gutter, ground):
    boxes = grid(count, columns, size, gutter)
    tiles, _ = find_tiles(coded(gallery(boxes, size, ground)), None)
    assert_found(boxes, tiles)
    assert (tiles.role == ROLES.index("tile")).all()
    assert tiles.label.any(axis=1).mean() > 0.9
    assert np.isnan(tiles.motion).all()


def test_cameras_that_are_off_are_tiles():
    boxes = grid(9, 3, gutter=4)
    tiles, _ = find_tiles(coded(gallery(boxes, off=(0, 1, 4, 7, 8))), None)
    assert_found(boxes, tiles)


def test_a_short_last_row_is_in_the_middle_to_a_pixel():
    """Between switched-off cameras of one grey only the row's ends tell its place; and seven do not divide 1920."""
    pitch, height = 1920 / 7, 1080 / 7
    lefts = [number * pitch for _ in range(6) for number in range(7)] + [pitch / 2 + number * pitch for number in range(6)]
    tops = [row * height for row in range(7) for _ in range(7 if row < 6 else 6)]
    boxes = [tuple(round(side) for side in (x, y, x + pitch, y + height)) for x, y in zip(lefts, tops, strict=True)]
    edges = find_edges(coded(gallery(boxes, (1920, 1080), 26, off=range(2, 48))))
    across, down = (np.array([[box[side] for box in chosen] for side in sides]) for chosen, sides in
                    ((boxes[:7], (0, 2)), (boxes[:48:7], (1, 3))))
    across[0, 0] += 1  # lines are known to a pixel
    found, _ = _cells(across, down, edges)
    assert len(found) == 48
    assert np.abs(found - boxes).max() <= 2


def strip_meeting(where: str) -> tuple[np.ndarray, list]:
    """A speaker with a film strip above, a slide with one beside, or a slide with a thumbnail on it; and the boxes."""
    picture = np.zeros((720, 1280, 3), np.uint8)
    slide = np.full((720, 1280, 3), 250, np.uint8)
    for line in range(5):
        cv2.putText(slide, "Figures and next steps", (90, 140 + 100 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 20, 60), 3)
    if where == "above":
        boxes = [(120, 124, 1176, 718), *((212 + 216 * k, 0, 424 + 216 * k, 120) for k in range(4))]
        put(picture, boxes[0], camera((1056, 594), 50), NAMES[5])
    elif where == "beside":
        boxes = [(0, 90, 960, 630), *((964, 90 + 180 * k, 1280, 268 + 180 * k) for k in range(3))]
        put(picture, boxes[0], cv2.resize(slide, (960, 540), interpolation=cv2.INTER_AREA), "")
    else:
        boxes = [(0, 0, 1280, 720), (1060, 10, 1270, 128)]
        picture = slide
    for number, box in enumerate(boxes[1:]):
        put(picture, box, camera((box[2] - box[0], box[3] - box[1]), number), NAMES[number])
    return picture, boxes


@pytest.mark.parametrize(("where", "role"), [("above", "stage"), ("beside", "share"), ("upon", "share")])
def test_strips_and_what_is_shown_large_are_found(where, role):
    picture, boxes = strip_meeting(where)
    tiles, _ = find_tiles(coded(picture), None)
    assert_found(boxes, tiles)
    assert [ROLES[number] for number in tiles.role] == [role] + ["tile"] * (len(boxes) - 1)


def test_motion_is_that_of_the_tile():
    boxes = grid(4, 2)
    still = gallery(boxes)
    moved = still.copy()
    x1, y1, x2, y2 = boxes[2]
    moved[y1:y2 - 40, x1:x2] = np.roll(moved[y1:y2 - 40, x1:x2], 40, axis=1)
    _, look = find_tiles(still, None)
    tiles, _ = find_tiles(moved, look)
    assert np.argmax(tiles.motion) == 2
    assert np.delete(tiles.motion, 2).max() == 0


def test_a_new_layout_is_seen_at_once_and_has_no_motion():
    _, look = find_tiles(coded(gallery(grid(4, 2))), None)
    boxes = grid(16, 4)
    tiles, _ = find_tiles(coded(gallery(boxes)), look)  # every line of the old layout is one of the new layout's
    assert_found(boxes, tiles)
    assert np.isnan(tiles.motion).all()


def test_a_gallery_that_begins_in_a_film_is_seen_within_three_frames():
    film, boxes = camera((1280, 720), 9), grid(4, 2)
    before = None
    for _ in range(40):
        tiles, before = find_tiles(film, before)
        assert not len(tiles)
    found = []
    for _ in range(3):
        tiles, before = find_tiles(gallery(boxes), before)
        found.append(len(tiles))
    assert found[-1] == 4
    assert len(find_tiles(gallery(boxes), before)[0]) == 4, "and from then on in each frame"


def test_one_who_leaves_is_seen_at_once():
    _, look = find_tiles(coded(gallery(grid(6, 3))), None)
    boxes = grid(5, 3)
    assert_found(boxes, find_tiles(coded(gallery(boxes)), look)[0])


def test_the_speaker_frame_is_seen_and_a_green_background_is_none():
    boxes = grid(9, 3, gutter=4)
    picture = gallery(boxes)
    x1, y1, x2, y2 = boxes[4]
    cv2.rectangle(picture, (x1 + 1, y1 + 1), (x2 - 2, y2 - 2), GREEN, 3)
    x1, y1, x2, y2 = boxes[6]
    green = np.full((y2 - y1, x2 - x1, 3), GREEN, np.uint8)
    cv2.circle(green, ((x2 - x1) // 2, (y2 - y1) // 2), 50, (200, 160, 130), -1)
    put(picture, boxes[6], green, "Nils")
    active = speaker_frames(coded(picture), np.array(boxes))
    assert active[4] > 0.7
    assert np.delete(active, 4).max() < 0.2


def test_a_speaker_frame_outside_of_a_box_that_was_drawn_along_it_is_seen_but_not_in_the_next_tile():
    boxes = np.array([(0, 60, 213, 180), (213, 60, 427, 180), (427, 60, 640, 180)])
    picture = gallery(boxes.tolist(), (640, 360))
    cv2.rectangle(picture, (428, 61), (638, 178), GREEN, 2)
    drawn = np.array([(0, 60, 213, 180), (213, 60, 430, 180), (430, 60, 637, 180)])
    for found in (boxes, drawn):
        assert (speaker_frames(coded(picture), found) >= 0.5).tolist() == [False, False, True]


def test_labels_are_the_same_at_other_sizes_and_places_and_differ_between_names():
    sets = []
    for columns, letters in ((4, 14), (4, 20), (3, 24)):
        boxes = grid(12, columns)
        picture = np.zeros((720, 1280, 3), np.uint8)
        for number, box in enumerate(boxes):
            put(picture, box, camera((box[2] - box[0], box[3] - box[1]), number + columns), NAMES[number], letters)
        sets.append(read_names(coded(picture), np.array(boxes)).label)
    for one, other in ((sets[0], sets[1]), (sets[1], sets[2]), (sets[0], sets[2])):
        distance = label_distance(one, other)
        assert np.median(np.diag(distance)) < LABEL_SAME
        assert (distance.argmin(axis=1) == np.arange(12)).mean() >= 0.9
        assert distance[~np.eye(12, dtype=bool)].min() > LABEL_SAME


def test_a_tile_without_a_name_has_an_empty_label():
    box = np.array([[0, 0, 640, 360]])
    label = read_names(coded(camera((640, 360), 3)), box).label
    assert label.shape == (1, LABEL_BYTES)
    assert not label.any()
    assert label_distance(label, label) == 1


def test_looks_are_the_same_at_another_size_and_differ_between_rooms():
    looks = [find_tiles(coded(gallery(grid(count, columns))), None)[0].look for count, columns in ((4, 2), (9, 3))]
    assert looks[0].shape == (4, LOOK_BYTES)
    distance = look_distance(looks[0], looks[1])
    assert np.diag(distance).max() < 0.02
    assert distance[~np.eye(4, 9, dtype=bool)].min() > 0.04
    assert np.diag(distance).max() < LOOK_SAME


def test_a_grid_without_names_is_believed_only_where_a_meeting_is_certain():
    boxes = grid(4, 2, gutter=6)
    picture = coded(gallery(boxes, names=False))
    assert len(find_tiles(picture, None)[0]) == 0
    assert_found(boxes, find_tiles(picture, None, certain=True)[0])


@pytest.mark.parametrize("size", [(1, 1), (161, 121), (640, 360)])
def test_a_single_camera_or_nothing_has_no_tiles(size):
    picture = np.zeros((size[1], size[0], 3), np.uint8) if size[0] < 200 else coded(camera(size, 1))
    tiles, look = find_tiles(picture, None)
    assert len(tiles) == 0
    assert len(find_tiles(picture, look)[0]) == len(NO_TILES)


def frames(path, rate: float, most: int) -> list[np.ndarray]:
    """At most so many frames of a clip, so many a second."""
    found, after = [], -np.inf
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= after and len(found) < most:
                found.append(frame.to_ndarray(format="rgb24"))
                after = frame.time + 1 / rate
    return found


def test_a_real_gallery_without_gutters_is_found(media):
    look = None
    for picture in frames(media / "meeting" / "b01_zoom_gallery_2x2.mp4", 5, 10):
        tiles, look = find_tiles(picture, look)
        assert_found([(0, 0, 320, 180), (320, 0, 640, 180), (0, 180, 320, 360), (320, 180, 640, 360)], tiles)
        assert tiles.label.any(axis=1).all()


def test_films_have_no_tiles(media, clip):
    films = [clip, *sorted((media / "crowd").glob("*.mp4")), *sorted((media / "faces").glob("*.mp4"))]
    for film in films:
        look = None
        for picture in frames(film, 2, 12):
            tiles, look = find_tiles(picture, look)
            assert len(tiles) == 0, film.name


def test_photographs_have_no_tiles(media):
    for path in sorted((media / "photos").glob("*.jpg")):
        assert len(find_tiles(np.array(Image.open(path).convert("RGB")), None)[0]) == 0, path.name
