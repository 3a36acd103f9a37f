"""The command line. Each command is a module of its own, loaded when it is called: `--help` answers at once."""

from __future__ import annotations

import importlib
import sys

import click

from crowdmood import __version__
from crowdmood.cli.stopping import HOW_TO_GO_ON, stoppable
from crowdmood.errors import CrowdmoodError, told

# name: (module, one line for the list of commands)
COMMANDS = {
    "analyze": ("analyze", "Analyze recordings: find faces, read expressions, write tables and a report."),
    "report": ("report", "Build or show the report of a run."),
    "render": ("render", "Write the recording as a film, annotated or with all faces covered."),
    "photos": ("photos", "Rank folders of photos by what the faces show, or look at one photo."),
    "moments": ("moments", "Find the moments that satisfy a condition, and save stills and clips of them."),
    "sql": ("sql", "Ask a question of all results in SQL."),
    "runs": ("runs", "List what has been analyzed, or remove it."),
    "jobs": ("jobs", "Analyze recordings at set times, or as they come."),
    "export": ("export", "Write a run in the format of another tool: py-feat, OpenFace, deepface, MOT, WebVTT, CSV."),
    "live": ("live", "Show what the faces before a camera show, and take the picture when all smile."),
    "serve": ("serve", "Show recordings, photos, the camera and SQL in the browser."),
    "demo": ("demo", "Make a short clip from photographs that are installed, and analyze it."),
    "models": ("models", "List the models, with their figures and limits."),
    "train": ("train", "Train a model."),
    "tune": ("tune", "Search for the best recipe of a training."),
    "evaluate": ("evaluate", "Measure a model."),
    "doctor": ("doctor", "Check this installation and say what it can do."),
}


class Lazy(click.Group):
    """A group whose commands are imported when they are called. ``table``: name -> (module, help line)."""

    def __init__(self, *args, table: dict[str, tuple[str, str]], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.table:
            return None
        module = importlib.import_module(f"crowdmood.cli.{self.table[name][0]}")
        return getattr(module, name.replace("-", "_"))

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


@click.group(cls=Lazy, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="crowdmood")
def crowdmood() -> None:
    """Read a crowd's face: what a recording's audience showed, minute by minute.

    \b
      crowdmood analyze concert.mp4
      crowdmood sql "SELECT second, happy FROM timeline ORDER BY happy DESC LIMIT 3"
    """


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 error, 2 usage, 3 some recordings failed, 128 + n stopped by signal n."""
    with stoppable():
        run()


def run() -> None:
    """Run the command line, and turn errors into a line and an exit code."""
    try:
        sys.exit(crowdmood(standalone_mode=False) or 0)
    except CrowdmoodError as error:
        fail(told(error))
    except click.Abort:
        fail(HOW_TO_GO_ON, code=130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)  # the reader (head, less) has seen enough
    except ImportError as error:
        if ".so" not in str(error):
            raise
        fail(f"a system library is missing ({error}); on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0 libxcb1")


def fail(message: str, code: int = 1) -> None:
    """Print one line on stderr and exit."""
    click.echo(f"crowdmood: {message}", err=True)
    sys.exit(code)
