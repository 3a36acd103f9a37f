"""Face detectors to be measured side by side: a model folder of ours, and others known by their ONNX graphs.

Every contestant sees the same picture with its longer side scaled to the same length:

    yunet        cls/obj/bbox/kps heads of strides 8, 16, 32; OpenCV's FaceDetectorYN does all the rest
    ultra-light  input 480 x 640, 'scores' (1, n, 2) and 'boxes' (1, n, 4), corners as shares of the picture
    yolov8-face  three heads (1, 80, h, w): 4 x 16 bins of distances, one score, five landmarks
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.faces import DetectSettings
from crowdmood.models import Model
from crowdmood.runtimes import choose_device, load_network
from crowdmood.training.detector_evaluation import (
    LOWEST_SCORE,
    Boxes,
    Detector,
    network_detector,
)

Graph = Callable[[np.ndarray], list[np.ndarray]]  # float32 (1, 3, h, w) -> the outputs
YUNET_IOU, ULTRALIGHT_IOU, YOLOV8_IOU = 0.3, 0.3, 0.5  # of their authors' demonstrations
MOST = 1000  # boxes of a picture that go into their suppression; the ultra-light net gives thousands a score of 0.1
BINS = np.arange(16, dtype=np.float32)


@dataclass(frozen=True)
class Contestant:
    """A detector under a name. ``finder(score)``: the detector that keeps boxes above this score; ``score``: the
    threshold it is shipped or usually run with; ``runtime``: what it runs on.
    """

    name: str
    finder: Callable[[float], Detector]
    score: float
    runtime: str = ""


def own(model: Model, runtime: str, imgsz: int) -> Contestant:
    """A model folder through the product's own ``detect``, at one thread."""
    network, usual = load_network(model, choose_device("cpu", runtime, 1)), _usual(model)
    return Contestant(model.name, lambda score: network_detector(network, imgsz, usual.nms_iou, score),
                      usual.score, runtime)


def _usual(model: Model) -> DetectSettings:
    return DetectSettings(**model.card.get("detect", {}))


def with_tiles(model: Model, runtime: str, imgsz: int, settings: Sequence[str]) -> dict[str, Detector]:
    """The model at its own threshold with each of several values of ``--tiles``; one network for all."""
    network, usual = load_network(model, choose_device("cpu", runtime, 1)), _usual(model)
    return {tiles: network_detector(network, imgsz, usual.nms_iou, usual.score, tiles) for tiles in settings}


def references(path: Path, runtime: str, imgsz: int) -> list[Contestant]:
    """The reference detectors that an ONNX file holds, told by its graph: YuNet at ``imgsz`` and at the
    picture's own size, or one of the others. Raises CrowdmoodError for a graph that is none of them.
    """
    session, shapes = _open(path)
    size = session.get_inputs()[0].shape[2:]
    if {"cls_8", "obj_8", "bbox_8"} <= shapes.keys():
        return [Contestant("yunet", lambda score: _yunet(path, score, imgsz), 0.9, "OpenCV"),
                Contestant("yunet own size", lambda score: _yunet(path, score, None), 0.9, "OpenCV")]
    if [shape[1:] for shape in shapes.values()] == [[shapes.get("scores", [0, 0])[1], n] for n in (2, 4)]:
        decode, usual = _ultralight, 0.7
    elif [shape[1] for shape in shapes.values()] == [80, 80, 80]:
        decode, usual = _yolov8, 0.25
    else:
        outputs = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise CrowdmoodError(f"{path.name}: its outputs ({outputs}) are neither YuNet's nor those of the "
                             f"ultra-light or the YOLOv8 face detectors; no other kind can be compared")
    if max(size) != imgsz:
        raise CrowdmoodError(f"{path.name} takes pictures of {size[1]} x {size[0]} only; use --imgsz {max(size)}")
    run = _runner(path, session, runtime)
    return [Contestant(path.stem.replace("_", "-"), lambda score: _fixed(run, decode, size, score), usual, runtime)]


def find_all(contestants: Sequence[Contestant], pictures: Sequence[np.ndarray], say=None) -> dict[str, list[Boxes]]:
    """What each contestant finds in each picture, down to the poorest scores."""
    found: dict[str, list[Boxes]] = {}
    for one in contestants:
        find = one.finder(LOWEST_SCORE)
        found[one.name] = [find(picture) for picture in pictures]
        if say is not None:
            say(f"{one.name}: {len(pictures)} pictures")
    return found


def milliseconds(contestants: Sequence[Contestant], pictures: Sequence[np.ndarray]) -> dict[str, tuple[float, float]]:
    """Median time and processor time of each contestant, suppression of doubles included, at its usual threshold.

    One thread each: on an idle machine both are the same. All look at one picture before any looks at the next, so
    that what else the machine does hits all alike. pictures: of one size.
    """
    finders = {one.name: one.finder(one.score) for one in contestants}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in finders}
    for find in finders.values():
        find(pictures[0])
    for picture in pictures:
        for name, find in finders.items():
            began = time.perf_counter(), time.process_time()
            find(picture)
            taken[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return {name: tuple((1e3 * np.median(each, axis=0)).round(1).tolist()) for name, each in taken.items()}


def of_one_size(pictures: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """The first ``most`` pictures of the commonest size."""
    commonest = Counter(picture.shape for picture in pictures).most_common(1)[0][0]
    return [picture for picture in pictures if picture.shape == commonest][:most]


def _open(path: Path):
    """An ONNX Runtime session of one thread, and its outputs' shapes by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class of their own
        raise CrowdmoodError(f"{path} cannot be read as ONNX: {str(error).splitlines()[0]}") from error
    return session, {output.name: output.shape for output in session.get_outputs()}


def _runner(path: Path, session, runtime: str) -> Graph:
    """The graph on ONNX Runtime or, like our own detector by default, on OpenVINO."""
    name = session.get_inputs()[0].name
    if runtime != "openvino":
        return lambda pictures: session.run(None, {name: pictures})
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {
        "INFERENCE_NUM_THREADS": "1", "NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda pictures: [np.array(value) for value in request.infer([pictures]).values()]


def _yunet(path: Path, score: float, imgsz: int | None) -> Detector:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it remarks on each network it loads
    net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score, YUNET_IOU, 5000)

    def find(picture: np.ndarray) -> Boxes:
        height, width = picture.shape[:2]
        scale = 1.0 if imgsz is None else imgsz / max(height, width)
        shown = _scaled(picture, scale)
        net.setInputSize((shown.shape[1], shown.shape[0]))
        rows = net.detect(np.ascontiguousarray(shown[:, :, ::-1]))[1]
        rows = np.zeros((0, 15), np.float32) if rows is None else rows
        return np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1) / scale, rows[:, 14]

    return find


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _fixed(run: Graph, decode, size: list[int], score: float) -> Detector:
    """A detector whose graph takes pictures of one size (height, width): letterboxed, grey at right and below."""

    def find(picture: np.ndarray) -> Boxes:
        scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
        shown = _scaled(picture, scale)
        full = np.full((*size, 3), 127, np.uint8)
        full[:shown.shape[0], :shown.shape[1]] = shown[:size[0], :size[1]]
        box, found, iou = decode(run, full, score)
        best = np.argsort(-found, kind="stable")[:MOST]
        box, found = box[best], found[best]
        corner_and_size = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], 1)
        kept = np.array(cv2.dnn.NMSBoxes(corner_and_size.tolist(), found.tolist(), score, iou), int).reshape(-1)
        return box[kept] / scale, found[kept]

    return find


def _floats(picture: np.ndarray, less: float, by: float) -> np.ndarray:
    """uint8 (h, w, 3) -> float32 (1, 3, h, w), (value - less) / by."""
    return np.ascontiguousarray(((picture.astype(np.float32) - less) / by).transpose(2, 0, 1)[None])


def _ultralight(run: Graph, picture: np.ndarray, score: float) -> tuple[np.ndarray, np.ndarray, float]:
    found, box = run(_floats(picture, 127, 128))
    kept = found[0, :, 1] > score
    height, width = picture.shape[:2]
    return box[0, kept] * np.array([width, height] * 2, np.float32), found[0, kept, 1], ULTRALIGHT_IOU


def _yolov8(run: Graph, picture: np.ndarray, score: float) -> tuple[np.ndarray, np.ndarray, float]:
    boxes, scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
    for head in run(_floats(picture, 0, 255)):
        stride = picture.shape[0] // head.shape[2]
        found = 1 / (1 + np.exp(-head[0, 64]))
        row, column = np.nonzero(found > score)
        bins = head[0, :64, row, column].reshape(-1, 4, 16)  # left, top, right, bottom of the cell's centre
        shares = np.exp(bins - bins.max(2, keepdims=True))
        reach = (shares / shares.sum(2, keepdims=True)) @ BINS
        centre = np.stack([column, row], 1) + 0.5
        boxes.append(np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], 1) * stride)
        scores.append(found[row, column])
    return np.concatenate(boxes), np.concatenate(scores), YOLOV8_IOU
