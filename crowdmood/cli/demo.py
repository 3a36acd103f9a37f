"""`crowdmood demo`."""

from __future__ import annotations

import click

from crowdmood.cli.settings import results_option


@click.command()
@click.argument("video", required=False)
@results_option
@click.pass_context
def demo(context: click.Context, video: str | None, results: str | None) -> None:
    """Analyze VIDEO, or a short clip made from photographs that crowdmood's dependencies install.

    The clip is written to the results folder: a gallery as in a video call, then a slow pan over a group.

    \b
      crowdmood demo
      crowdmood demo concert.mp4
    """
    from crowdmood.cli.analyze import analyze
    from crowdmood.results import local_folder, results_folder

    if video is None:
        from crowdmood.demo import write_clip

        clip = local_folder(results_folder(results)) / "demo.mp4"
        write_clip(clip)
        click.echo(f"wrote {clip}", err=True)
        video = str(clip)
    context.invoke(analyze, sources=(video,), results=results)
