"""`crowdmood analyze`."""

from __future__ import annotations

import click

from crowdmood.cli.settings import analysis_settings, results_option


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@analysis_settings
@results_option
@click.option("--report/--no-report", default=True, show_default=True, help="Build the HTML report and timeline.png.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per recording, one a line.")
@click.option("--quiet", "-q", is_flag=True, help="No progress display.")
@click.option("--progress", type=click.Choice(["bar", "json"]), default="bar", show_default=True,
              help="How progress is shown on stderr: a bar, on a terminal, or a JSON object a line, for programs.")
@click.option("--with-stdin", is_flag=True, help="Stop when standard input ends: for programs that start this one, and may be killed.")
@click.pass_context
def analyze(ctx: click.Context, sources: tuple[str, ...], results: str | None, report: bool, as_json: bool,
            quiet: bool, progress: str, with_stdin: bool, **settings) -> None:
    """Analyze recordings: files, folders, globs, and what lies at an s3:// address.

    Finds the faces in SOURCE, reads the expressions shown, follows persons, and writes tables and a report into the
    results folder. A stopped analysis goes on where it was when the same command is run again.

    \b
      crowdmood analyze concert.mp4
      crowdmood analyze lectures/ --sample-fps 2 --workers 4
      crowdmood analyze hall.mov --tiles 2x3 --start 1:30 --end 12:00
      crowdmood analyze 'shows/*.mkv' --results /data/shows --json
      crowdmood analyze "Zoom/2026-01-15 14.00.03 Weekly sync"
      crowdmood analyze s3://recordings/2026
      crowdmood analyze /shared/shows/ --executor ray --ray-address ray://head:10001 --results s3://bucket/shows
    """
    from crowdmood.allocator import steady_memory
    from crowdmood.batch import analyze_all
    from crowdmood.cli.display import Display, write_progress
    from crowdmood.cli.settings import split
    from crowdmood.cli.stopping import stop_with_stdin
    from crowdmood.sources import expand

    if with_stdin:
        stop_with_stdin()
    steady_memory()
    options, execution = split(settings)
    paths = expand(sources, options.view, options.parts)
    with Display(quiet or progress == "json") as display:
        failed, tell = 0, write_progress if progress == "json" and not quiet else display.progress
        for item in analyze_all(paths, options, execution, results, report, tell):
            failed += item.error is not None
            display.result(item, as_json)
    if failed:
        ctx.exit(3 if len(paths) > 1 else 1)
