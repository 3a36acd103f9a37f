import numpy as np
import pytest

from crowdmood.faces import (
    STRIDE,
    DetectSettings,
    Faces,
    decode_boxes,
    detect,
    letterbox,
    overlap,
    suppress,
    tile_windows,
)


def bright_spots(images: np.ndarray) -> np.ndarray:
    """A network whose 'faces' are white squares: real enough to test everything around the network.

    Input uint8 (n, h, w, 3); output (n, 5, anchors) as the YOLO face network gives it.
    """
    import cv2

    outputs = np.zeros((len(images), 5, 64), np.float32)
    for row, image in enumerate(images):
        _, _, stats, centres = cv2.connectedComponentsWithStats((image[..., 0] > 200).astype(np.uint8))
        for column, (stat, centre) in enumerate(zip(stats[1:65], centres[1:65], strict=True)):
            outputs[row, :, column] = [centre[0] + 0.5, centre[1] + 0.5, stat[2], stat[3], 0.9]
    return outputs


def picture(width: int, height: int, squares: list[tuple[int, int, int]]) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, side in squares:
        image[y:y + side, x:x + side] = 255
    return image


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1280, 720), (121, 161), (1, 1), (64, 2000)])
def test_letterbox_keeps_proportions_and_fills_to_the_stride(height, width):
    out, scale = letterbox(np.full((2, height, width, 3), 255, np.uint8), 640)
    assert out.shape[1] % STRIDE == 0 and out.shape[2] % STRIDE == 0
    assert max(height, width) * scale <= 640
    filled = (out[0] == 255).all(axis=2)
    assert filled.any(axis=1).sum() == max(1, round(height * scale))
    assert filled.any(axis=0).sum() == max(1, round(width * scale))


def test_boxes_come_back_in_pixels_of_the_picture():
    image = picture(1280, 720, [(100, 200, 80), (1000, 600, 40)])
    found = detect(image[None], bright_spots, DetectSettings(imgsz=640))
    np.testing.assert_allclose(found.box, [[100, 200, 180, 280], [1000, 600, 1040, 640]], atol=2)
    assert list(found.frame) == [0, 0]


def test_faces_of_a_frame_go_from_left_to_right_and_frames_in_order():
    images = np.stack([picture(640, 384, [(500, 50, 40), (20, 300, 40)]), picture(640, 384, []),
                       picture(640, 384, [(300, 100, 60)])])
    found = detect(images, bright_spots, DetectSettings())
    assert list(found.frame) == [0, 0, 2]
    assert list(found.box[:, 0].round()) == [20, 500, 300]


def test_no_faces_is_zero_rows_never_none():
    found = detect(np.zeros((3, 384, 640, 3), np.uint8), bright_spots, DetectSettings())
    assert len(found) == 0 and found.box.shape == (0, 4)


def test_region_of_interest_ignored_places_and_smallest_face():
    image = picture(1280, 720, [(100, 100, 60), (700, 100, 60), (100, 500, 60), (700, 500, 14)])[None]
    inside = detect(image, bright_spots, DetectSettings(roi=(640, 0, 1280, 720), min_face=20))
    np.testing.assert_allclose(inside.box, [[700, 100, 760, 160]], atol=2)
    kept = detect(image, bright_spots, DetectSettings(ignore=((0, 0, 400, 400),), min_face=20))
    assert sorted(kept.box[:, 0].round()) == [100, 700]


@pytest.mark.parametrize("tiles", ["2x2", "1x3", "3x2"])
def test_tiles_find_each_face_once_also_on_their_borders(tiles):
    squares = [(x, y, 30) for x in range(20, 1880, 155) for y in range(20, 1040, 170)]
    image = picture(1920, 1080, squares)[None]
    found = detect(image, bright_spots, DetectSettings(imgsz=640, tiles=tiles))
    assert len(found) == len(squares)
    expected = np.array([[x, y, x + 30, y + 30] for x, y, _ in squares], np.float32)
    distance = np.abs(expected[:, None] - found.box[None]).max(axis=2)
    assert distance.min(axis=1).max() < 4 and distance.min(axis=0).max() < 4


@pytest.mark.parametrize(("width", "tiles"), [(1280, 4), (1920, 9)])
def test_auto_tiles_look_again_only_where_a_crowd_has_small_faces(width, tiles):
    seen = []

    def counting(images):
        seen.append(images.shape[0])
        return bright_spots(images)

    crowd = picture(width, width // 2, [(40 + 100 * i, 300, 26) for i in range(12)])
    few = picture(width, width // 2, [(400, 100, 300), (900, 100, 300)])
    detect(np.stack([crowd, few]), counting, DetectSettings(imgsz=640))
    assert seen == [2] + [1] * tiles  # both frames whole, then the tiles of the crowd


def test_tile_windows_cover_the_window():
    covered = np.zeros((1080, 1920), bool)
    for x1, y1, x2, y2 in tile_windows((0, 0, 1920, 1080), (2, 3)):
        covered[y1:y2, x1:x2] = True
    assert covered.all()


def test_decode_boxes_reads_centre_and_size():
    output = np.zeros((2, 5, 3), np.float32)
    output[1, :, 2] = [100, 50, 20, 10, 0.7]
    found = decode_boxes(output, 0.5)
    assert list(found.frame) == [1]
    np.testing.assert_allclose(found.box, [[90, 45, 110, 55]])
    np.testing.assert_allclose(found.score, [0.7])


def test_suppression_keeps_the_best_of_overlapping_boxes_of_one_frame():
    box = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [0, 0, 10, 10], [30, 30, 40, 40]], np.float32)
    faces = Faces(np.array([0, 0, 1, 0], np.int32), box, np.array([0.5, 0.9, 0.4, 0.3], np.float32))
    assert sorted(suppress(faces, 0.5)) == [1, 2, 3]


def test_overlap_of_known_boxes():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    np.testing.assert_allclose(overlap(boxes[0], boxes), [1, 1 / 3, 0], atol=1e-6)
