"""What `live` shows: a screen on a terminal, a line a second elsewhere, or JSON."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from crowdmood.clock import format_time
from crowdmood.labels import EXPRESSIONS, UNCERTAIN
from crowdmood.live.cameras import named
from crowdmood.live.pace import Pace
from crowdmood.live.viewer import View
from crowdmood.live.watching import Album
from crowdmood.palette import EXPRESSION_COLOURS, STACK_ORDER

MINUTE = 60
STEPS = " ▁▂▃▄▅▆▇█"


class Lines:
    """A line a second, for files and pipes; and what was seen at the end."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.views, self.told, self.last = 0, -1, None
        self.latencies: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        pass

    def show(self, view: View, album: Album | None, saved: Path | None) -> None:
        """The next view. saved: the file of a picture that was just taken."""
        if "error" in view.answer:
            return click.echo(f"crowdmood: {view.answer['error']}", err=True)
        self.views, self.last = self.views + 1, view
        self.latencies.append(view.answer["pace"]["waited_ms"] + view.answer["pace"]["took_ms"])
        self.draw(view, album, saved)

    def draw(self, view: View, album: Album | None, saved: Path | None) -> None:
        """Print a line when a new second has begun."""
        if int(view.shown.time) != self.told:
            self.told = int(view.shown.time)
            click.echo(f"{format_time(self.told)}  {_faces(view)}{_mix(view)}")
        if saved:
            click.echo(f"{format_time(self.told)}  picture {saved}")

    def close(self) -> None:
        """Sum up what was seen."""
        if self.last is None:
            return
        middle, late = (sorted(self.latencies)[int(share * (self.views - 1))] for share in (0.5, 0.95))
        dropped = self.last.answer["pace"]["dropped"]
        click.echo(f"{self.views:,} picture{'' if self.views == 1 else 's'} looked at, {dropped:,} dropped; median latency {middle:.0f} ms, 95 % within {late:.0f} ms", err=True)


class JsonLines(Lines):
    """One object a line: what the web page is told, and `saved`, the file of a picture that was taken."""

    def draw(self, view: View, album: Album | None, saved: Path | None) -> None:
        """Print the view."""
        click.echo(json.dumps(view.answer | ({"saved": str(saved)} if saved else {})))


class Screen(Lines):
    """A live view on a terminal: faces, the mix, and the last minute of what is shown most."""

    def __init__(self, source: str, sound: bool) -> None:
        super().__init__()
        self.source, self.sound = named(source), sound
        self.console = Console()
        self.live = Live(Text("loading the networks ..."), console=self.console, refresh_per_second=10, transient=True)
        self.seconds: deque[tuple[int, list[dict[str, float]]]] = deque(maxlen=MINUTE)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *_) -> None:
        self.live.stop()

    def draw(self, view: View, album: Album | None, saved: Path | None) -> None:
        """Draw everything anew."""
        if view.answer["mix"]:
            if not self.seconds or self.seconds[-1][0] != int(view.shown.time):
                self.seconds.append((int(view.shown.time), []))
            self.seconds[-1][1].append(view.answer["mix"])
        if saved and self.sound:
            self.console.bell()
        self.live.update(Group(self._head(view), Text(), self._table(view), Text(), *self._graph(view), self._selfie(view, album)))

    def _head(self, view: View) -> Text:
        pace = view.answer["pace"]
        return Text(f"{self.source}  {view.answer['width']} x {view.answer['height']}  {format_time(int(view.shown.time))}  "
                    f"{pace['per_second']:.1f} pictures/s  {pace['waited_ms'] + pace['took_ms']:.0f} ms  {pace['dropped']:,} dropped  "
                    f"{_faces(view)}", style="bold", no_wrap=True, overflow="ellipsis")

    def _table(self, view: View) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for head in ("face", "shows", "", *EXPRESSIONS):
            table.add_column(head, justify="left" if head in ("shows", "face") else "right")
        for face in sorted(view.answer["faces"], key=lambda face: face["number"] or 10**9)[:max(1, self.console.height - 18)]:
            name, shares = face["expression"], face["probability"]
            known = name != UNCERTAIN
            table.add_row(str(face["number"] or "new"), Text(name, EXPRESSION_COLOURS[name]), f"{shares[name]:.0%}" if known else "",
                          *(Text(f"{shares[other]:.0%}", "" if known and shares[other] >= 0.1 else "dim") for other in EXPRESSIONS))
        return table

    def _graph(self, view: View) -> list[Text]:
        """A row for each expression: its share over the last ten seconds, and second by second over the last minute."""
        running = view.answer["running"]
        rows = [Text(f"last {running['seconds']:.0f} s: {running['readings']} readings; graph: the last minute", "dim")]
        now = int(view.shown.time)
        means = {second: mixes for second, mixes in self.seconds if mixes}
        for name in STACK_ORDER:
            steps = "".join(_step(means.get(second), name) for second in range(now - MINUTE + 1, now + 1))
            share = f"{running['mix'][name]:>5.0%}" if running["mix"] else "    –"
            rows.append(Text.assemble((f"{name:<9}", EXPRESSION_COLOURS[name]), f"{share}  ", (steps, EXPRESSION_COLOURS[name]), ("▏now", "dim")))
        return rows

    def _selfie(self, view: View, album: Album | None) -> Text:
        selfie = view.answer["selfie"]
        if album is None or selfie is None:
            return Text("Ctrl-C ends it", "dim")
        left = album.left_s(view)
        state = (f"picture in {left:.0f} s" if left is not None else f"all {selfie['expression']} for {selfie['held_s']:.1f} s" if selfie["held_s"]
                 else f"waiting until all are {selfie['expression']}")
        last = f"; last: {album.paths[-1]}" if album.paths else ""
        return Text(f"\nsmart selfie: {state}; {len(album.paths)} taken{last}", "bold" if left is not None or selfie["held_s"] else "")


def _step(mixes: list[dict[str, float]] | None, name: str) -> str:
    if mixes is None:
        return " "
    return STEPS[round((len(STEPS) - 1) * sum(mix[name] for mix in mixes) / len(mixes))]


def _faces(view: View) -> str:
    count, read = len(view.answer["faces"]), view.answer["read"]
    return f"{count} face{'' if count == 1 else 's'}" + (f", {count - read} uncertain" if read < count else "")


def _mix(view: View) -> str:
    if view.answer["mix"] is None:
        return ": none can be read" if view.answer["faces"] else ""
    return ": " + ", ".join(f"{name} {share:.0%}" for name, share in sorted(view.answer["mix"].items(), key=lambda pair: -pair[1])[:3])
