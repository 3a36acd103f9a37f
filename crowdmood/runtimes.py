"""Networks on what this machine has: OpenVINO or ONNX Runtime on the CPU, torch on CUDA (and on the CPU, to compare).

A network is a function from uint8 pictures to float32 results:

    network(pictures uint8 (n, h, w, c)) -> float32 (n, ...)

Turning bytes into the network's floats happens on the device: a quarter of the memory travels.
Results of one picture do not depend on what else is in the batch, nor on the number of threads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np

from crowdmood.errors import CrowdmoodError, ModelError
from crowdmood.models import FACE_DETECTOR, Model

Network = Callable[[np.ndarray], np.ndarray]

GPU_BATCH = 64
NO_MEMORY = ("bad_alloc", os.strerror(errno.ENOMEM), os.strerror(errno.EAGAIN))
TORCH_FILES = ("weights.safetensors", "model.torchscript")


@dataclass(frozen=True)
class Device:
    """Where networks run. ``name``: cpu, cuda:0, ...; ``runtime``: openvino, onnx or torch; ``threads``: CPU threads."""

    name: str
    runtime: str
    threads: int


def choose_device(name: str = "auto", runtime: str = "auto", threads: int | None = None) -> Device:
    """Turn ``auto|cpu|cuda|cuda:N`` and ``auto|openvino|onnx|torch`` into what will really be used.

    ``auto`` takes CUDA when there is one. Raises CrowdmoodError when the device or the combination does not exist.
    """
    threads = threads or len(os.sched_getaffinity(0))
    if name == "auto":
        name = "cuda:0" if cuda_devices() else "cpu"
    if name == "cpu":
        return Device("cpu", _known(runtime if runtime != "auto" else "openvino"), threads)
    name = "cuda:0" if name == "cuda" else name
    found = cuda_devices()
    if name not in found:
        there = ", ".join(["cpu", *found])
        raise CrowdmoodError(f"device {name} is not there; this machine has: {there}")
    if runtime not in ("auto", "torch"):
        raise CrowdmoodError(f"runtime {runtime} does not run on {name}; use --runtime torch or --device cpu")
    return Device(name, "torch", threads)


def cuda_devices() -> list[str]:
    """The CUDA devices torch can use, as ``cuda:0``, ``cuda:1``, ...; asks torch only when a driver is loaded."""
    if not os.path.exists("/proc/driver/nvidia") and not os.path.exists("/dev/nvidiactl"):
        return []
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def load_network(model: Model, device: Device, per_request: int = 1) -> Network:
    """Load a model for a device. What OpenVINO cannot read (no ONNX file) runs on torch.

    per_request: how many pictures one CPU inference takes; batches are cut into that many, and the pieces run
    side by side, one thread each.
    Raises ModelError when a weight file is missing, damaged, or refused by the runtime.
    """
    runtime = device.runtime if device.runtime == "torch" or model.has("model.onnx") else "torch"
    if runtime == "torch" and device.name == "cpu" and not any(map(model.has, TORCH_FILES)):
        runtime = "onnx"
    try:
        return RUNTIMES[runtime](model, device, per_request)
    except ModelError:
        raise
    except Exception as error:  # a file that is none, or of another net: each library has its own words, often many lines
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"{model.kind} {model.name} cannot be loaded by {runtime}: {said}") from error


def _known(runtime: str) -> str:
    if runtime not in RUNTIMES:
        raise CrowdmoodError(f"unknown runtime '{runtime}'; known: {', '.join(RUNTIMES)}")
    return runtime


def _normalisation(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from the network's bytes, and what they are divided by then, per channel, float32 (1 or c,)."""
    facts = model.card["input"]
    mean, std = (np.atleast_1d(np.float32(facts.get(key, default))) for key, default in (("mean", 0.0), ("std", 1.0)))
    scale = np.float32(facts.get("scale", 1.0))
    return mean * scale, std * scale


def _openvino(model: Model, device: Device, per_request: int) -> Network:
    import openvino

    core = openvino.Core()
    plain = core.read_model(model.file("model.onnx"))
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        # One thread per request and full precision: results depend neither on the machine's
        # number of cores nor on its bfloat16 units.
        "NUM_STREAMS": str(device.threads),
        "INFERENCE_NUM_THREADS": str(device.threads),
        "INFERENCE_PRECISION_HINT": "f32",
        # Or every process puts its threads on the same cores, the first ones.
        "ENABLE_CPU_PINNING": "NO",
    }
    rings: dict[tuple[int, ...], list[openvino.InferRequest]] = {}

    def ring_for(shape: tuple[int, ...]) -> list[openvino.InferRequest]:
        # A fixed shape is compiled once and runs faster than a dynamic one; a recording has one or two.
        if shape not in rings:
            compiled = core.compile_model(_byte_input(plain.clone(), shape, _normalisation(model)), "CPU", settings)
            # One more than run at a time, so that there is always one waiting. openvino.AsyncInferQueue would do the same, but
            # its callbacks need the interpreter while it is taken down by the interpreter: one in twenty networks never ended.
            rings[shape] = [compiled.create_infer_request() for _ in range(device.threads + 1)]
        return rings[shape]

    @_memory_error
    def network(pictures: np.ndarray) -> np.ndarray:
        shape = (per_request, *pictures.shape[1:])
        ring = ring_for(shape)
        try:
            return _in_turn(ring, pictures, per_request)
        except BaseException:
            rings.pop(shape, None)  # some may still be at work
            raise

    return network


def _memory_error(network: Network) -> Network:
    """Raise MemoryError where OpenVINO wraps the system's refusal of memory, or of a thread for want of it, in an error of its own."""
    @wraps(network)
    def told(pictures: np.ndarray) -> np.ndarray:
        try:
            return network(pictures)
        except RuntimeError as error:
            if any(words in str(error) for words in NO_MEMORY):
                raise MemoryError from error
            raise

    return told


def _byte_input(graph, shape: tuple[int, ...], normalisation: tuple[np.ndarray, np.ndarray]):
    """Give an ONNX graph of float NCHW input a fixed uint8 NHWC one."""
    import openvino
    from openvino.preprocess import PrePostProcessor

    n, height, width, channels = shape
    graph.reshape([n, channels, height, width])
    steps = PrePostProcessor(graph)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    mean, std = (np.broadcast_to(values, channels).tolist() for values in normalisation)
    floats = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    (floats.mean(mean) if any(mean) else floats).scale(std)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


def _filled(piece: np.ndarray, size: int) -> np.ndarray:
    """A piece of a batch, filled up with black pictures to ``size``."""
    if len(piece) == size:
        return np.ascontiguousarray(piece)
    full = np.zeros((size, *piece.shape[1:]), np.uint8)
    full[:len(piece)] = piece
    return full


def _in_turn(ring: list, pictures: np.ndarray, size: int) -> np.ndarray:
    """Results of pictures, ``size`` a request: each request of the ring has its turn when its last result was taken."""
    count, results = -(-len(pictures) // size), []
    for at in range(count + len(ring)):
        request = ring[at % len(ring)]
        if len(ring) <= at:
            request.wait()
            results.append(request.get_output_tensor().data.copy())
        if at < count:
            request.start_async({0: _filled(pictures[at * size:(at + 1) * size], size)})
    nothing = np.zeros((0, *ring[0].get_output_tensor().shape[1:]), np.float32)
    return np.concatenate([nothing, *results])[:len(pictures)]


def _onnx(model: Model, device: Device, per_request: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model.file("model.onnx")), options, providers=["CPUExecutionProvider"])
    name, (mean, std) = session.get_inputs()[0].name, _normalisation(model)

    def network(pictures: np.ndarray) -> np.ndarray:
        floats = (pictures.astype(np.float32) - mean) / std
        return session.run(None, {name: np.ascontiguousarray(floats.transpose(0, 3, 1, 2))})[0]

    return network


def _torch(model: Model, device: Device, per_request: int) -> Network:
    return torch_network(_torch_module(model), device, _normalisation(model))


def torch_network(net, device: Device, normalisation: tuple[np.ndarray, np.ndarray]) -> Network:
    """A network of a torch module. normalisation: what is taken from the bytes and what they are divided by, float32 (1 or c,)."""
    import torch

    cuda = device.name != "cpu"
    net = net.eval().to(device.name)
    net = net.half() if cuda else net
    if not cuda:
        torch.set_num_threads(device.threads)
    mean, std = (torch.from_numpy(values).view(1, -1, 1, 1).to(device.name) for values in normalisation)

    @torch.inference_mode()
    def run(pictures: np.ndarray) -> np.ndarray:
        bytes_ = torch.from_numpy(np.ascontiguousarray(pictures))
        if cuda:
            bytes_ = bytes_.pin_memory().to(device.name, non_blocking=True)
        floats = (bytes_.permute(0, 3, 1, 2).float() - mean) / std
        return net(floats.half() if cuda else floats).float().cpu().numpy()

    return in_batches(run, GPU_BATCH, torch.OutOfMemoryError, device.name)


def _torch_module(model: Model):
    if model.has("model.torchscript"):
        import torch

        return torch.jit.load(model.file("model.torchscript"), map_location="cpu")
    weights = model.file("weights.safetensors")
    if model.kind == FACE_DETECTOR:
        from crowdmood.yolo_net import face_network

        return face_network(weights)
    from crowdmood.expression_net import expression_network

    return expression_network(weights)


def in_batches(run: Network, size: int, out_of_memory: type[BaseException], where: str) -> Network:
    """A network that takes any number of pictures, ``size`` at a time; ``size`` is halved for good when memory ends.

    Raises CrowdmoodError when even one picture is too much for the device, ``where``.
    """
    limit = size

    def network(pictures: np.ndarray) -> np.ndarray:
        nonlocal limit
        results, at = [], 0
        while at < len(pictures) or not results:
            try:
                results.append(run(pictures[at:at + limit]))
                at += limit
            except out_of_memory as error:
                if limit == 1:
                    raise CrowdmoodError(f"{where} has not enough memory for a single picture; close other programs that use it, or take a "
                                         "smaller --imgsz or --device cpu, and run the same command again to go on") from error
                limit //= 2
        return np.concatenate(results)

    return network


RUNTIMES: dict[str, Callable[[Model, Device, int], Network]] = {
    "openvino": _openvino,
    "onnx": _onnx,
    "torch": _torch,
}
