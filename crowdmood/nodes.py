"""A scan on another machine: first looked at whether all is there as it is here, then done there.

A file that is missing on one node, or is another one there, must not give rows that nobody expects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from crowdmood import __version__, tables
from crowdmood.downloads import local_copy
from crowdmood.errors import CrowdmoodError, ModelError, ResultsError, VideoError
from crowdmood.options import Execution
from crowdmood.ray_cluster import Place, node_name, own_gpu
from crowdmood.runtimes import Device, choose_device
from crowdmood.s3 import S3Folder, endpoint, is_on_s3
from crowdmood.scan import Chunk, Outcome, Scan, chosen_models
from crowdmood.video import Recording

_known: dict[tuple[str, Path], Recording] = {}  # the last recording: who decodes it is told of it once
_copies: dict[str, tuple[Path, ExitStack]] = {}  # of recordings on S3, in this worker process; the last two


@dataclass(frozen=True)
class Elsewhere:
    """A scan to be done by nodes of a cluster; made on the machine that sends it out.

    models: name -> sha256 of the weights; address: the recording's path, or where it is on S3; version: crowdmood's;
    server: where s3:// leads, None for AWS.
    """

    scan: Scan
    models: dict[str, str]
    address: str
    version: str = __version__
    server: str | None = None

    def __call__(self, chunks: Sequence[Chunk]) -> Iterator[Outcome]:
        try:
            self._check()
            scan = replace(self.scan, recording=self._recording(), device=self._device())
        except CrowdmoodError as error:
            raise type(error)(f"node {node_name()}: {error}") from error
        yield from scan(chunks)

    def __str__(self) -> str:
        return self.scan.recording.path.name

    def _recording(self) -> Recording:
        """The recording as it lies here. Raises VideoError when it does not."""
        video = self.scan.recording
        path = _copy(self.address) if is_on_s3(self.address) else video.path
        for file in video.files:  # several only where they lie in a folder
            _check_file(path if file is video else file.path, file)
        if (video.digest, path) not in _known:
            _known.clear()
            _known[video.digest, path] = replace(video, path=path)
        return _known[video.digest, path]

    def _check(self) -> None:
        """Raise a CrowdmoodError when this machine would not do what the sender's would."""
        if self.version != __version__:
            raise CrowdmoodError(f"crowdmood {__version__} is installed, and {self.version} sent the work; install the same")
        results = self.scan.results
        if isinstance(results, S3Folder):
            self._check_server(results)
        elif not tables.table_path(results, "runs", self.scan.run).exists():
            raise ResultsError(f"results folder {results} is not the one the run was begun in; all nodes must share it, under "
                               "the same path, or results must be s3://...")
        self._check_models()

    def _check_server(self, results: S3Folder) -> None:
        if endpoint() != self.server:
            raise ResultsError(f"{results} is at {endpoint() or 'AWS'} here and at {self.server or 'AWS'} where the work was "
                               "planned; set AWS_ENDPOINT_URL alike on all nodes")

    def _check_models(self) -> None:
        here = chosen_models(self.scan.options)
        if other := [model.name for model in here if self.models.get(model.name) != model.weights]:
            raise ModelError(f"model {', '.join(other)} is not the one that the work was planned with; all nodes need the same")

    def _device(self) -> Device:
        device = self.scan.device
        return choose_device(f"cuda:{own_gpu() or 0}", "auto", device.threads) if device.name == "cuda" else device


def _check_file(path: Path, planned: Recording) -> None:
    """Raise VideoError when a file is not the one that the work was planned with."""
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise VideoError(f"{path} is not there ({error.strerror}); recordings must lie in a folder that all nodes share, "
                         "under the same path") from error
    if size != planned.size_bytes:
        raise VideoError(f"{path} is not the file that the work was planned with ({size:,} bytes instead of "
                         f"{planned.size_bytes:,}); recordings must lie in a folder that all nodes share")


def elsewhere(scan: Scan, models: dict[str, str], address: str) -> Elsewhere:
    """The scan as it is sent to the nodes of a cluster, whose working folders are others."""
    video = replace(scan.recording, path=scan.recording.path.absolute())
    own = {name: os.path.abspath(folder) for name in ("detector", "expression") if (folder := getattr(scan.options, name))}
    return Elsewhere(replace(scan, recording=video, options=replace(scan.options, **own)), models, address, server=endpoint())


def place_of(execution: Execution) -> Place:
    """The cluster an execution asks for, and what each chunk takes of it."""
    return Place(execution.ray_address, execution.threads or 1, execution.gpus)


def device_of(execution: Execution) -> Device:
    """What the nodes' networks run on: 'cuda' stands for the GPU that Ray gives a chunk. This machine may have none.

    Raises CrowdmoodError when the device asked for and the part of a GPU do not fit.
    """
    wanted = "cuda" if execution.device.startswith("cuda") else execution.device
    if wanted == "cuda" and not execution.gpus:
        raise CrowdmoodError("--executor ray on GPUs needs --gpus, the part of a GPU that a chunk takes, such as --gpus 0.25")
    if execution.gpus and wanted == "cpu":
        raise CrowdmoodError("--gpus and --device cpu contradict each other; leave one out")
    if execution.gpus and execution.runtime not in ("auto", "torch"):
        raise CrowdmoodError(f"runtime {execution.runtime} does not run on GPUs; leave out --runtime or --gpus")
    threads = execution.threads or 1
    return Device("cuda", "torch", threads) if execution.gpus else choose_device("cpu", execution.runtime, threads)


def _copy(address: str) -> Path:
    """A recording on S3 as a file of this node, kept until this process goes on to others."""
    if address not in _copies:
        for other in list(_copies)[:-1]:
            _copies.pop(other)[1].close()
        stack = ExitStack()
        _copies[address] = stack.enter_context(local_copy(address)), stack
    return _copies[address][0]
