"""HTML pages that need nothing else: templates, what they say numbers with, and the script that alone may run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from crowdmood import __version__
from crowdmood.canvas import ACCENT, GAP, INK, LINE, MUTED, PAPER, svg_text
from crowdmood.clock import format_time
from crowdmood.palette import DIVERGING, EXPRESSION_COLOURS, LABEL_INKS, STACK_ORDER
from crowdmood.shipped import shipped

SHARES = (*STACK_ORDER, "coverage", "presence")  # measures between 0 and 1, told in per cent; others lie in -1..1
# Pictures in a page take their colours from it, so that they fit a dark one too.
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper", GAP: "--hatch", ACCENT: "--accent"}


def render(template: str, **values: Any) -> str:
    """The text of a page. template: a file in reports/templates."""
    folder = shipped("reports") / "templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters |= FILTERS
    script = (folder / "report.js").read_text(encoding="utf-8")
    return environment.get_template(template).render(
        version=__version__, colours=EXPRESSION_COLOURS, inks=LABEL_INKS, order=STACK_ORDER, shares=SHARES,
        classes=range(len(DIVERGING)), style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        script=Markup(script), script_hash=script_hash(script), **values)


def script_hash(script: str) -> str:
    """What a Content-Security-Policy calls this script: only it may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def as_json(value: Any) -> Markup:
    """JSON that is safe inside a script element."""
    return Markup(json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"))


def inline(figure: Figure) -> Markup:
    """A picture as an SVG element of a page, in the page's colours."""
    text = svg_text(figure)
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg"):], flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg class="picture" viewBox="\1" aria-hidden="true">', text, count=1)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour.lower(), f"var({variable})")
    return Markup(text)


def clock(seconds: float | None) -> str:
    """Minutes and seconds; tenths below a minute."""
    return "unknown" if seconds is None else format_time(round(seconds) if seconds >= 60 else round(seconds, 1))


def percent(share: float | None, digits: int = 0) -> str:
    """A share as per cent, a dash for None."""
    return "\u2013" if share is None else f"{100 * share:.{digits}f}\u202f%"


def count(number: float | None) -> str:
    """A number with commas, a dash for None."""
    return "\u2013" if number is None else f"{number:,}"


def signed(number: float | None) -> str:
    """A number with its sign, two digits, a dash for None."""
    return "\u2013" if number is None else f"{number:+.2f}".replace("-", "\u2212").replace("\u22120.00", "0.00").replace("+0.00", "0.00")


def measured(value: float | None, measure: str) -> str:
    """A measure's value as people read it."""
    return percent(value) if measure in SHARES else signed(value)


def interval(row: dict[str, Any]) -> str:
    """'+0.31 to +0.55', '' where there is none. row: measure, low, high."""
    if row["low"] is None or row["high"] is None:
        return ""
    if row["measure"] in SHARES:
        return f"{100 * row['low']:.0f} to {percent(row['high'])}"
    return f"{signed(row['low'])} to {signed(row['high'])}"


def level(value: float | None, measure: str) -> float:
    """Where a value stands on its scale, 0..100."""
    low = 0.0 if measure in SHARES else -1.0
    return 100 * min(1.0, max(0.0, ((value or 0.0) - low) / (1 - low)))


FILTERS = {"clock": clock, "percent": percent, "count": count, "signed": signed, "level": level, "measured": measured,
           "interval": interval}
"""What templates say numbers with."""
