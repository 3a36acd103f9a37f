"""The options that several commands share, and their way into Options and Execution."""

from __future__ import annotations

import click


class Time(click.ParamType):
    """Seconds, or [hours:]minutes:seconds."""

    name = "time"

    def convert(self, value, param, context) -> float:
        from crowdmood.clock import parse_time

        try:
            return value if isinstance(value, float) else parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, context)


class Rate(click.ParamType):
    """Frames per second, or 'all' (None)."""

    name = "number|all"

    def convert(self, value, param, context) -> float | str:
        if isinstance(value, float) or value == "all":
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"'{value}' is neither a number nor 'all'", param, context)


class Rectangle(click.ParamType):
    """x1,y1,x2,y2 in pixels."""

    name = "x1,y1,x2,y2"

    def convert(self, value, param, context) -> tuple[int, ...]:
        try:
            x1, y1, x2, y2 = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"'{value}' is not x1,y1,x2,y2 in whole pixels", param, context)
        return x1, y1, x2, y2


SETTINGS = (
    click.option("--sample-fps", type=Rate(), default=5.0, show_default="5", help="Frames analyzed per second, or 'all'."),
    click.option("--start", "start_s", type=Time(), default=0.0, help="Where to begin: 90, 1:30, 00:01:30.5."),
    click.option("--end", "end_s", type=Time(), help="Where to stop."),
    click.option("--imgsz", type=int, default=640, show_default=True,
                 help="Longer side of the picture the face detector sees; larger finds smaller faces, and is slower."),
    click.option("--tiles", default="auto", show_default=True, metavar="auto|off|RxC",
                 help="Look at parts of the picture one by one, for halls full of small faces."),
    click.option("--min-face", type=float, default=12.0, show_default=True, help="Smallest face kept, in pixels."),
    click.option("--roi", type=Rectangle(), help="Look only at this part of the picture."),
    click.option("--ignore", type=Rectangle(), multiple=True, help="Drop faces whose centre is here. Repeatable."),
    click.option("--decoder", default="av", show_default=True, metavar="av|decord", help="What decodes the video."),
    click.option("--detector", metavar="FOLDER|FILE.pt",
                 help="Another face detector: a model folder, or an ultralytics .pt (a pickle, that is code)."),
    click.option("--expression", metavar="FOLDER", help="Another expression net's model folder."),
    click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                 help="Where the networks run."),
    click.option("--runtime", default="auto", show_default=True, metavar="auto|openvino|onnx|torch",
                 help="What runs the networks; auto is OpenVINO on the CPU, torch on CUDA."),
    click.option("--workers", type=int, default=1, show_default=True, help="Processes that scan side by side."),
    click.option("--threads", type=int, help="CPU threads in all.  [default: every core]"),
)

results_option = click.option("--results", metavar="FOLDER|s3://BUCKET/PREFIX", envvar="CROWDMOOD_RESULTS",
                              help="Results folder, here or on S3.  [default: ./crowdmood-results]")


def analysis_settings(command):
    """Give a command the options of an analysis."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command


def split(settings: dict):
    """(Options, Execution) from the values of SETTINGS. Raises CrowdmoodError when a value makes no sense."""
    from crowdmood.options import Execution, Options

    where = {name: settings.pop(name) for name in ("device", "runtime", "workers", "threads")}
    if settings["sample_fps"] == "all":
        settings["sample_fps"] = None
    return Options(**settings), Execution(**where)
