"""Pages of the web application: templates with what every page needs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from crowdmood import __version__
from crowdmood.pages import FILTERS
from crowdmood.palette import EXPRESSION_COLOURS, LABEL_INKS, STACK_ORDER
from crowdmood.shipped import shipped

HERE = Path(__file__).parent
SECTIONS = (("/recordings", "Recordings"), ("/photos", "Photos"), ("/live", "Live"), ("/sql", "SQL"))


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The answer with a page. template: a file in web/templates, or reports/templates for what the reports share."""
    text = _environment().get_template(template).render(
        version=__version__, sections=SECTIONS, path=request.scope["path"], csrf=getattr(request.state, "csrf", ""),
        signed_in=getattr(request.state, "signed_in", False), inside=getattr(request.state, "inside", False),
        colours=EXPRESSION_COLOURS, inks=LABEL_INKS, order=STACK_ORDER, **values)
    return HTMLResponse(text, status)


def part(template: str, **values: Any) -> Markup:
    """A part of a page that is the same for all visitors. template: as for `page`."""
    text = _environment().get_template(template).render(
        version=__version__, colours=EXPRESSION_COLOURS, inks=LABEL_INKS, order=STACK_ORDER, **values)
    return Markup(text)


def coded(text: str) -> Markup:
    """A text in which what stands between ` is code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def login_address(request: Request) -> str:
    """The login page that leads back to where the visitor wanted to go."""
    query = f"?{request.url.query}" if request.url.query else ""
    return "/login?" + urlencode({"next": request.scope["path"] + query})


@cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader([HERE / "templates", shipped("reports") / "templates"]), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= FILTERS | {"coded": coded}
    return environment
