"""`crowdmood live`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from crowdmood.cli.moments import Seconds
from crowdmood.labels import EXPRESSIONS
from crowdmood.settings import SETTINGS

OF_OPTIONS, OF_EXECUTION = ("min_face", "detector", "expression"), ("device", "runtime", "threads")


def live_settings(command):
    """Give a command those options of an analysis that make sense here."""
    for option in reversed(SETTINGS):
        if option(lambda: None).__click_params__[0].name in (*OF_OPTIONS, *OF_EXECUTION):
            command = option(command)
    return command


@click.command(short_help="Show what the faces before a camera show, and take the picture when all smile.")
@click.option("--camera", "source", metavar="NUMBER|ADDRESS|FILE", default="0", show_default=True,
              help="A camera of this machine, a stream (rtsp://, http://), or a recording, which is played.")
@click.option("--fps", type=click.FloatRange(0.1, 60), default=5, show_default=True, help="Pictures looked at per second, at most.")
@click.option("--seconds", type=Seconds(), help="Stop after so long.  [default: at Ctrl-C, or the recording's end]")
@click.option("--save", "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Smart selfie: write the picture into this folder, at full size, when all faces show the expression.")
@click.option("--when", type=click.Choice(EXPRESSIONS), default="happy", show_default=True, help="What all readable faces must show.")
@click.option("--least", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many readable faces there must be.")
@click.option("--for", "hold_s", type=Seconds(), default=0.5, show_default="0.5s", help="How long they must show it.")
@click.option("--countdown", type=Seconds(), default=0.0, show_default="none", help="Take the picture so much later.")
@click.option("--sound", is_flag=True, help="Ring the terminal's bell when a picture is taken.")
@click.option("--imgsz", type=int, default=480, show_default=True,
              help="Longer side of the picture the face detector sees; larger finds smaller faces, and is slower.")
@click.option("--tiles", default="off", show_default=True, metavar="auto|off|RxC", help="Look at parts of the picture one by one.")
@live_settings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per picture, one a line.")
def live(source: str, fps: float, seconds: float | None, folder: Path | None, as_json: bool, **wishes) -> None:
    """Show what the faces before a camera show, a few times a second, and take the picture when all of them smile.

    Nothing is kept but the pictures of --save. In a browser, `crowdmood serve` does the same with the camera there.

    \b
      crowdmood live
      crowdmood live --camera rtsp://192.0.2.7/stream --fps 2
      crowdmood live --save selfies --least 3 --countdown 3s
      crowdmood live --camera talk.mp4 --json | jq .mix.happy
    """
    from crowdmood.cli.live_display import JsonLines, Lines, Screen
    from crowdmood.law import LIVE
    from crowdmood.live.loop import Loop
    from crowdmood.live.selfie import Wish
    from crowdmood.live.watching import Album, watching

    options, execution = _settings(wishes)
    wish = Wish(wishes["when"], wishes["least"], wishes["hold_s"]) if folder else None
    album = Album(folder, wishes["countdown"]) if folder else None
    click.echo(f"crowdmood: {LIVE}", err=True)
    loop = Loop(options, execution)
    display = JsonLines() if as_json else Screen(source, wishes["sound"]) if sys.stdout.isatty() else Lines()
    try:
        with watching(source, fps, loop, wish) as watch, display:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: watch.stop.set())  # the usual end: what was seen is summed up
            for view in watch:
                display.show(view, album, album.see(view) if album else None)
                if seconds is not None and view.shown.time >= seconds:
                    break
    finally:
        loop.stop()
        display.close()


def _settings(wishes: dict):
    from crowdmood.options import Execution, Options

    options = Options(imgsz=wishes["imgsz"], tiles=wishes["tiles"], meeting="off", **{name: wishes[name] for name in OF_OPTIONS})
    return options, Execution(**{name: wishes[name] for name in OF_EXECUTION})
