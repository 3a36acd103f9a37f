"""What can be asked of an analysis, as options of a command line and as keys of a job file: one list for both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import TYPE_CHECKING, Any

import click

from crowdmood.errors import CrowdmoodError
from crowdmood.options import CONTEXTS, PARTS, VIEWS

if TYPE_CHECKING:
    from crowdmood.options import Execution, Options


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
    click.option("--meeting", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True,
                 help="Whether the tiles of a video call are persons; auto sees it in the picture."),
    click.option("--aggregate-only", is_flag=True,
                 help="Keep no figures of single persons, and none of fewer than 5 together."),
    click.option("--names", default="none", show_default=True, metavar="none|labels|FILE.csv",
                 help="In a meeting: call persons by the names in the picture or in a file, else 'Participant 3'."),
    click.option("--transcript-text", is_flag=True, help="In a meeting: keep the words of transcript and chat."),
    click.option("--view", type=click.Choice(VIEWS), default="auto", show_default=True,
                 help="Which film of a Zoom folder is read; auto is the gallery where there is one."),
    click.option("--parts", type=click.Choice(PARTS), default="auto", show_default=True,
                 help="Which recordings of a Zoom folder are one meeting; auto: those at most 15 minutes apart."),
    click.option("--context", type=click.Choice(CONTEXTS), metavar="PURPOSE",
                 help=f"Declare what the analysis is for: {', '.join(CONTEXTS)}. It is kept in the run and printed in the report."),
    click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                 help="Where the networks run."),
    click.option("--runtime", default="auto", show_default=True, metavar="auto|openvino|onnx|torch",
                 help="What runs the networks; auto is OpenVINO on the CPU, torch on CUDA."),
    click.option("--workers", type=int, help="Processes that scan side by side.  [default: 1; with ray, the whole cluster]"),
    click.option("--threads", type=int, help="CPU threads in all.  [default: every core; with ray, 1 per worker]"),
    click.option("--executor", type=click.Choice(["auto", "serial", "processes", "ray"]), default="auto", show_default=True,
                 help="Who scans: this process, processes, or a Ray cluster; auto is processes from 2 workers on."),
    click.option("--ray-address", metavar="auto|local|ray://HOST:PORT",
                 help="The Ray cluster.  [default: $RAY_ADDRESS, or the one this machine belongs to]"),
    click.option("--gpus", type=float, default=0.0, metavar="PART",
                 help="With ray: the part of a GPU that each worker takes, such as 0.25.  [default: none]"),
)


def analysis_settings(command):
    """Give a command the options of an analysis."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command


def split(settings: dict):
    """(Options, Execution) from the values of SETTINGS. Raises CrowdmoodError when a value makes no sense."""
    from dataclasses import fields

    from crowdmood.options import Execution, Options

    where = {field.name: settings.pop(field.name) for field in fields(Execution)}
    if settings["sample_fps"] == "all":
        settings["sample_fps"] = None
    return Options(**settings), Execution(**where)


def analysis_names() -> tuple[str, ...]:
    """The names of the options as keys of a file: sample_fps, start, ..."""
    return tuple(_options())


def read_settings(given: Mapping[str, Any]) -> tuple[Options, Execution]:
    """(Options, Execution) from keys of a file, each checked as the option of the same name is.

    Raises CrowdmoodError in one sentence. Numbers, texts, and times of TOML are as good as what is typed; a rectangle is
    a text or a list of four numbers, several are a list of such.
    """
    options = _options()
    words = [word for key, value in given.items() for word in _words(options[key], key, value)]
    try:
        return split(click.Command("analyze", params=list(options.values())).make_context("analyze", words).params)
    except click.BadParameter as error:
        raise CrowdmoodError(f"[analyze] {_key(error.param)}: {error.message}") from error


def typed(options: Options, execution: Execution) -> list[str]:
    """What would be typed after `crowdmood analyze` for these; what is as usual is left out. `split` reads the same from it."""
    from crowdmood.options import Execution, Options

    usual, known = vars(Options()) | vars(Execution()), {option.name: option for option in _options().values()}
    given = {name: value for name, value in (vars(options) | vars(execution)).items() if value != usual[name]}
    return [word for name, value in given.items() for word in _typed(known[name], value)]


def shown(value: Any) -> str:
    """A value of TOML, near enough as it stands in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _options() -> dict[str, click.Option]:
    command = analysis_settings(lambda: None)
    return {_key(option): option for option in reversed(command.__click_params__)}


def _typed(option: click.Option, value: Any) -> list[str]:
    if option.is_flag:
        return [option.opts[0]]
    if isinstance(option.type, Rectangle):
        return [f"{option.opts[0]}={','.join(map(str, one))}" for one in (value if option.multiple else [value])]
    return [f"{option.opts[0]}={'all' if value is None else value}"]


def _key(option: click.Parameter) -> str:
    return option.opts[0].removeprefix("--").replace("-", "_")


def _words(option: click.Option, key: str, value: Any) -> list[str]:
    """What would be typed for a value. Raises CrowdmoodError where nothing would."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise CrowdmoodError(f"[analyze] {key}: {shown(value)} is neither true nor false")
        return [option.opts[0]] if value else option.secondary_opts[:1]
    rectangle = isinstance(option.type, Rectangle)
    several = option.multiple and isinstance(value, list) and not (rectangle and all(type(one) is int for one in value))
    words = []
    for one in value if several else [value]:
        if rectangle and isinstance(one, list):
            one = ",".join(map(str, one))
        if isinstance(one, bool) or not isinstance(one, (str, int, float, time)):
            raise CrowdmoodError(f"[analyze] {key}: {shown(value)} makes no sense here")
        words.append(f"{option.opts[0]}={one}")
    return words
