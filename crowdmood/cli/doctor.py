"""`crowdmood doctor`."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Check this installation: libraries, devices, models. Exits 1 when something is missing.

    \b
      crowdmood doctor
    """
    import os
    import platform
    from importlib.metadata import version

    from crowdmood import __version__
    from crowdmood.models import list_models
    from crowdmood.runtimes import cuda_devices

    click.echo(f"crowdmood {__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(f"cores: {len(os.sched_getaffinity(0))}; CUDA devices: {', '.join(cuda_devices()) or 'none'}")
    for name in ("torch", "ultralytics", "openvino", "onnxruntime", "av", "decord", "duckdb", "pyarrow", "opencv-python"):
        click.echo(f"  {name} {version(name)}")
    import cv2  # noqa: F401 the library that most often lacks a system library

    for model in list_models():
        for name in model.card["files"]:
            model.file(name)
        click.echo(f"  {model.kind}: {model.name}, weights are as the card says")
