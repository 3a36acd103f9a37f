"""The YOLO face network in eager torch, and a silent import of ultralytics."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch

ARCHITECTURE = "yolo11n"
# ultralytics' name, and the share of its channels that is kept (docs/decisions.md has the comparison).
ARCHITECTURES = {
    "yolov8n": ("yolov8n.yaml", 1.0),
    "yolo11n": ("yolo11n.yaml", 1.0),
    "yolo26n": ("yolo26n.yaml", 1.0),
    "yolo11n-narrow": ("yolo11n.yaml", 0.75),
}
CLASS_NAME = "face"


def quiet_ultralytics() -> ModuleType:
    """Import ultralytics so that it neither writes outside a throw-away folder nor talks to anybody.

    Left alone, ultralytics writes ~/.config/Ultralytics/settings.json, resolves public host names to see
    whether it is online, reports every training, prediction and export to an analytics service, and installs
    missing packages with pip. All of these are decided while it is imported, so the switches are set first.

    Returns the ultralytics package. Does nothing the second time.
    """
    already = sys.modules.get("ultralytics")
    if already is not None and getattr(already, "crowdmood_quiet", False):
        return already
    if already is None:
        folder = tempfile.mkdtemp(prefix="crowdmood-yolo-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["YOLO_CONFIG_DIR"] = folder  # settings.json goes there and away with it
        os.environ.setdefault(
            "MPLCONFIGDIR", folder
        )  # ultralytics imports matplotlib, which writes a font cache
        os.environ["YOLO_OFFLINE"] = "true"  # no name look-up, no analytics, no error reports
        os.environ["YOLO_AUTOINSTALL"] = "false"
        os.environ["YOLO_VERBOSE"] = "false"
    _make_torchvision_importable()
    package = importlib.import_module("ultralytics")
    package.SETTINGS.update(sync=False)
    events = importlib.import_module("ultralytics.utils.events")
    events.events.enabled = False
    package.crowdmood_quiet = True
    return package


def _make_torchvision_importable() -> None:
    """Declare torchvision's compiled operators where its binary does not fit the installed torch.

    The torchvision wheels on PyPI are linked against the CUDA build of torch. Beside a CPU-only torch their
    library does not load, and importing torchvision then dies with 'operator torchvision::nms does not
    exist', because it attaches shape functions to operators that were never registered. ultralytics imports
    torchvision for its NMS. Where the compiled library loads, this function changes nothing.
    """
    try:
        import torchvision  # noqa: F401

        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    except ImportError:
        return  # not installed at all: ultralytics has its own NMS
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # the half-imported package
    library = torch.library.Library("torchvision", "DEF")
    for name in (
        "nms",
        "qnms",
    ):  # the two that torchvision touches without asking whether its library is there
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    _LIBRARIES.append(library)  # the registration lives as long as this object
    importlib.import_module("torchvision")
    sys.modules["torchvision.extension"]._has_ops = lambda: True  # asked by torchvision.ops.nms on every call


_LIBRARIES: list[torch.library.Library] = []


def _nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy suppression: dets (m, 4) as x1 y1 x2 y2, scores (m,); the kept indices, best score first."""
    order = scores.argsort(descending=True, stable=True)
    area = (dets[:, 2:] - dets[:, :2]).clamp(min=0).prod(1)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(dets[best, :2], dets[order, :2])
        high = torch.minimum(dets[best, 2:], dets[order, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        order = order[shared <= iou_threshold * (area[best] + area[order] - shared)]
    return torch.stack(kept) if kept else order.new_empty(0)


def new_face_network(architecture: str = ARCHITECTURE) -> torch.nn.Module:
    """One of ARCHITECTURES for one class, untrained, in training mode: float (n, 3, h, w) RGB 0..1, h and w
    multiples of 32.
    """
    quiet_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    file, share = ARCHITECTURES[architecture]
    layout = yaml_model_load(file)
    depth, width, most = layout["scales"][layout["scale"]]
    layout["scales"] = {layout["scale"]: [depth, width * share, most]}
    layout["end2end"] = False  # one head and our own suppression: the second head of YOLO26 costs twice the training
    net = DetectionModel(layout, ch=3, nc=1, verbose=False)
    net.names = {0: CLASS_NAME}
    return net


def unpickled(path: Path) -> torch.nn.Module:
    """The float32 network of an ultralytics .pt file: a pickle, so reading it runs the code in it."""
    quiet_ultralytics()
    content = torch.load(path, map_location="cpu", weights_only=False)
    return (content.get("ema") or content["model"]).float()


def save_face_weights(state: dict[str, torch.Tensor], architecture: str, path: Path | str) -> None:
    """Write what ``face_network`` reads: filters as float16, everything else as float32 (running variances may
    lie below float16's range)."""
    from safetensors.torch import save_file

    tensors = {
        name: (value.half() if value.ndim > 1 else value.float()).contiguous()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, path, {"architecture": architecture})


def face_network(weights: Path | str) -> torch.nn.Module:
    """The face network with the weights of a safetensors file, ready to use.

    forward: float (n, 3, h, w) RGB 0..1 -> (n, 5, anchors): centre x, centre y, width, height in pixels,
    score 0..1. Convolutions and their normalisation are fused. Raises ValueError when the file's tensors do
    not fit.
    """
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        architecture = (file.metadata() or {}).get("architecture", ARCHITECTURE)
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    if architecture not in ARCHITECTURES:
        raise ValueError(f"{weights} is for '{architecture}'; known: {', '.join(ARCHITECTURES)}")
    net = new_face_network(architecture)
    needed = {
        name for name in net.state_dict() if not name.endswith("num_batches_tracked")
    }  # a counter of training
    if set(tensors) != needed:
        raise ValueError(
            f"{weights} holds {len(tensors)} tensors, {len(needed & set(tensors))} of the {len(needed)} of "
            f"{architecture} with one class"
        )
    try:
        net.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ValueError(
            f"{weights}: tensors of other shapes than {architecture} with one class has"
        ) from error
    return FaceNetwork(net)


class FaceNetwork(torch.nn.Module):
    """A trained face network for use: convolutions and normalisation fused, and boxes decoded in float32.

    In half precision a coordinate beyond 512 px would be a multiple of half a pixel, so only the convolutions
    are run in what the weights are in.
    """

    def __init__(self, net: torch.nn.Module, number: int = 0) -> None:
        """net: any detection model of ultralytics; number: of its class 'face'."""
        super().__init__()
        self.number = number
        net.eval()
        net.fuse(verbose=False)
        head = net.model[-1]
        head.forward = lambda maps: head.forward_head(
            maps, **head.one2many
        )  # raw maps instead of decoded boxes
        self.net, self.bins = net.requires_grad_(False), head.reg_max
        self.strides = [int(stride) for stride in head.stride]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float (n, 3, h, w) RGB 0..1 -> float32 (n, 5, anchors): cx, cy, w, h in pixels, score 0..1."""
        raw = self.net(images)
        count = images.shape[0]
        reach = raw["boxes"].float().view(count, 4, self.bins, -1)
        if self.bins > 1:
            steps = torch.arange(self.bins, device=images.device).float().view(1, 1, -1, 1)
            reach = reach.softmax(2) * steps
        reach = reach.sum(2)  # from the anchor to the left, upper, right and lower edge, in strides
        place, stride = self._grid(raw["feats"])
        low, high = place - reach[:, :2], place + reach[:, 2:]
        box = torch.cat([(low + high) / 2, high - low], 1) * stride
        return torch.cat([box, raw["scores"][:, self.number : self.number + 1].float().sigmoid()], 1)

    def _grid(self, maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Anchors (1, 2, anchors), x and y in strides, and each one's stride (1, 1, anchors)."""
        places, strides = [], []
        for one, stride in zip(maps, self.strides, strict=True):
            high, wide = one.shape[2:]
            x = torch.arange(wide, device=one.device).float() + 0.5
            y = torch.arange(high, device=one.device).float() + 0.5
            y, x = torch.meshgrid(y, x, indexing="ij")
            places.append(torch.stack([x.reshape(-1), y.reshape(-1)]))
            strides.append(torch.full_like(places[-1][:1], stride))
        return torch.cat(places, 1)[None], torch.cat(strides, 1)[None]
