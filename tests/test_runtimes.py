import numpy as np
import pytest
import torch

from crowdmood.errors import CrowdmoodError
from crowdmood.expressions import CROPS_PER_REQUEST, classify
from crowdmood.faces import DetectSettings, detect
from crowdmood.models import EXPRESSION_NET, FACE_DETECTOR, find_model
from crowdmood.runtimes import RUNTIMES, Device, choose_device, cuda_devices, load_network, torch_network


def test_a_device_that_is_not_there_is_an_error_that_lists_what_is():
    with pytest.raises(CrowdmoodError, match=r"device cuda:99 is not there; this machine has: cpu"):
        choose_device("cuda:99")


def test_an_unknown_runtime_is_an_error_that_lists_the_known_ones():
    with pytest.raises(CrowdmoodError, match="unknown runtime 'tensorrt'; known: openvino, onnx, torch"):
        choose_device("cpu", "tensorrt")


def test_auto_takes_cuda_where_there_is_one_and_else_openvino():
    device = choose_device()
    assert (device.name, device.runtime) == (("cuda:0", "torch") if cuda_devices() else ("cpu", "openvino"))


class SmallGpu(torch.nn.Module):
    """Means of pictures; like a GPU that others have filled, it has room for so many at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.asked = room, []

    def forward(self, pictures):
        self.asked.append(len(pictures))
        if len(pictures) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has a total capacity of 1 GiB")
        return pictures.mean(dim=(2, 3))


PLAIN = np.zeros(1, np.float32), np.ones(1, np.float32)


def test_memory_that_ends_halves_the_batch_and_nothing_is_lost():
    net = SmallGpu(room=20)
    network = torch_network(net, Device("cpu", "torch", 1), PLAIN)
    pictures = np.random.default_rng(0).integers(0, 256, (70, 4, 4, 1), np.uint8)
    np.testing.assert_allclose(network(pictures), pictures.mean(axis=(1, 2)), rtol=1e-6)
    assert net.asked == [64, 32, 16, 16, 16, 16, 6]
    network(pictures)
    assert net.asked[7:] == [16, 16, 16, 16, 6]  # the smaller batch is remembered


def test_no_memory_for_a_single_picture_is_a_sentence():
    network = torch_network(SmallGpu(room=0), Device("cpu", "torch", 1), PLAIN)
    with pytest.raises(CrowdmoodError, match="^cpu has not enough memory for a single picture; close other programs .* run the same command again to go on$"):
        network(np.zeros((3, 4, 4, 1), np.uint8))


@pytest.fixture(scope="module")
def frames():
    """Two real frames of the demo clip's photographs, uint8 (2, 720, 1280, 3)."""
    from crowdmood.demo import PHOTOGRAPHS, _photograph, gallery, pan

    photographs = {name: _photograph(*where) for name, where in PHOTOGRAPHS.items()}
    return np.stack([next(gallery(photographs)), list(pan(photographs))[70]])


def face_rows(runtime, frames):
    network = load_network(find_model(FACE_DETECTOR), Device("cpu", runtime, 2))
    return detect(frames, network, DetectSettings())


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "torch"])
def test_runtimes_agree_on_faces(runtime, frames):
    ours, reference = face_rows(runtime, frames), face_rows("torch", frames)
    assert len(reference) >= 4
    np.testing.assert_array_equal(ours.frame, reference.frame)
    np.testing.assert_allclose(ours.box, reference.box, atol=1.0)
    np.testing.assert_allclose(ours.score, reference.score, atol=1e-2)


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "torch"])
def test_runtimes_agree_on_expressions(runtime):
    crops = np.random.default_rng(1).integers(0, 256, (37, 48, 48, 1), np.uint8)
    model = find_model(EXPRESSION_NET)
    probability = [classify(crops, load_network(model, Device("cpu", name, 2), CROPS_PER_REQUEST),
                            model.card["temperature"]) for name in (runtime, "torch")]
    np.testing.assert_allclose(*probability, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_openvino_gives_a_picture_the_same_numbers_in_any_batch_with_any_threads(threads):
    crops = np.random.default_rng(2).integers(0, 256, (40, 48, 48, 1), np.uint8)
    model = find_model(EXPRESSION_NET)
    alone = load_network(model, Device("cpu", "openvino", 1), CROPS_PER_REQUEST)
    many = load_network(model, Device("cpu", "openvino", threads), CROPS_PER_REQUEST)
    np.testing.assert_array_equal(many(crops), np.concatenate([alone(crop[None]) for crop in crops]))


@pytest.mark.gpu
@pytest.mark.skipif(not cuda_devices(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(frames):
    cpu = face_rows("torch", frames)
    network = load_network(find_model(FACE_DETECTOR), choose_device("cuda"))
    found = detect(frames, network, DetectSettings())
    np.testing.assert_array_equal(found.frame, cpu.frame)
    np.testing.assert_allclose(found.box, cpu.box, atol=2.0)
