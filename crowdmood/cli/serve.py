"""`crowdmood serve`."""

from __future__ import annotations

import click

from crowdmood.cli.settings import results_option


@click.command()
@results_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
def serve(results: str | None, host: str, port: int) -> None:
    """Show recordings, photos, the camera and SQL in the browser.

    \b
      crowdmood serve
      crowdmood serve --results /data/shows --port 9000
    """
    import uvicorn

    from crowdmood.results import results_folder
    from crowdmood.web.app import make_app
    from crowdmood.web.settings import WebSettings

    uvicorn.run(make_app(WebSettings(results_folder(results), host, port)), host=host, port=port)
