"""`crowdmood photos`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from crowdmood.cli.settings import results_option
from crowdmood.settings import SETTINGS

MEASURES = ("happy", "sad", "surprise", "positivity", "popularity")
OF_OPTIONS, OF_EXECUTION = ("imgsz", "tiles", "min_face", "detector", "expression"), ("device", "runtime", "threads")
MOST_TOLD = 20  # files that could not be read, each with its sentence


def photo_settings(command):
    """Give a command those options of an analysis that make sense for photos."""
    for option in reversed(SETTINGS):
        name = option(lambda: None).__click_params__[0].name
        if name in (*OF_OPTIONS, *OF_EXECUTION):
            command = option(command)
    return command


def split_photo_settings(settings: dict):
    """(Options, Execution) from the values of photo_settings. Raises CrowdmoodError when a value makes no sense."""
    from crowdmood.options import Execution, Options
    from crowdmood.photos.runs import PHOTO_OPTIONS

    return (Options(**PHOTO_OPTIONS, **{name: settings[name] for name in OF_OPTIONS}),
            Execution(**{name: settings[name] for name in OF_EXECUTION}))


@click.group(short_help="Rank folders of photos by what the faces show, or look at one photo.")
def photos() -> None:
    """Rank folders of photos by what the faces show, or look at one photo.

    \b
      crowdmood photos rank holiday/ --top 3
      crowdmood photos show portrait.jpg --out portrait-faces.png
    """


@photos.command(short_help="Find the photos that show most of an expression.")
@click.argument("sources", nargs=-1, required=True, metavar="DIR|FILE...")
@click.option("--by", type=click.Choice(MEASURES), default="happy", show_default=True,
              help="What is looked for; positivity is happy minus the strongest of angry, disgust, fear, sad; popularity needs a model.")
@click.option("--top", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many are the best.")
@click.option("--group", is_flag=True, help="Only photos of two and more, scored over all their faces: (mean + worst) / 2.")
@click.option("--popularity", metavar="FOLDER", type=click.Path(file_okay=False), help="The model for --by popularity.  [default: the one last trained]")
@click.option("--cover", metavar="FILE.png|FILE.jpg", type=click.Path(dir_okay=False), help="Write the best three as one square picture, as for an album's cover.")
@click.option("--copy-to", metavar="FOLDER", type=click.Path(file_okay=False), help="Copy the best there, as 1-NAME, 2-NAME, ...")
@click.option("--html", metavar="FILE", type=click.Path(dir_okay=False), help="Where the page goes.  [default: into the results folder]")
@click.option("--sheet", metavar="FILE.png", type=click.Path(dir_okay=False), help="Where the contact sheet goes.  [default: beside the page]")
@photo_settings
@results_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all photos in order.")
@click.option("--quiet", "-q", is_flag=True, help="No progress display.")
@click.option("--progress", type=click.Choice(["bar", "json"]), default="bar", show_default=True,
              help="How progress is shown on stderr: a bar, on a terminal, or a JSON object a line, for programs.")
@click.option("--with-stdin", is_flag=True, hidden=True, help="Stop when standard input ends.")
@click.pass_context
def rank(ctx: click.Context, sources: tuple[str, ...], results: str | None, as_json: bool, quiet: bool, progress: str, with_stdin: bool,
         **settings) -> None:
    """Find the photos in folders (searched through and through) that show most of an expression.

    Writes a page and a contact sheet of the best, and all that was found into the tables of the results folder: a folder is a run,
    a photo is a frame. Running it again reads only what is new. JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF and BMP are read; a photo
    that cannot be read is told in one sentence, and the others are done.

    \b
      crowdmood photos rank holiday/
      crowdmood photos rank holiday/ --top 12 --copy-to best/
      crowdmood photos rank team/ --group --json
      crowdmood photos rank portraits/ --by surprise --sheet surprise.png
      crowdmood photos rank holiday/ --cover cover.jpg
      crowdmood photos rank selfies/ --by popularity      after crowdmood train popularity
    """
    from crowdmood.cli.photo_display import PhotoBar, write_progress
    from crowdmood.cli.stopping import stop_with_stdin
    from crowdmood.photos.answers import Places, rank_photos
    from crowdmood.photos.show import check_picture_name

    if with_stdin:
        stop_with_stdin()
    if settings["cover"]:
        check_picture_name(Path(settings["cover"]))
    options, execution = split_photo_settings(settings)
    asked = {name: settings[name] for name in ("by", "group", "top")} | {"model": settings["popularity"]}
    places = Places(*(settings[name] for name in ("html", "sheet", "cover", "copy_to")))
    with PhotoBar(quiet or progress == "json") as bar:
        tell = write_progress if progress == "json" and not quiet else bar.progress
        found = rank_photos(sources, asked, places, (options, execution), results, tell)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        show_ranked(found)
    if tell_unread(found["left_out"]):
        ctx.exit(3)


def show_ranked(found: dict) -> None:
    """Print the best as a table, and where page, sheet and copies are."""
    from crowdmood.errors import one_line
    from crowdmood.photos.page import scored
    from crowdmood.rows import cut, write_aligned

    best = found["ranked"][:found["top"]]
    if best:
        rows = [[str(row["place"]), cut(one_line(row["file"]), 60), scored(row, found["by"]), f"{row['happy']:.0%}", f"{row['sad']:.0%}",
                 str(row["faces"]), str(row["uncertain"] or "")] for row in best]
        head = ("place", "photo", "score", "happy", "sad", "faces", "uncertain")
        write_aligned(head, rows, set(head) - {"photo"}, sys.stdout)
    else:
        click.echo("no photo can be ranked: none has " + ("two faces" if found["group"] else "a face that can be read"))
    faceless = sum(not row["error"] for row in found["left_out"])
    click.echo(f"\n{len(found['ranked']):,} photos ranked, {faceless:,} not; run {found['run']}")
    for name in ("page", "sheet", "cover", "model"):
        if found.get(name):
            click.echo(f"{name:<6} {one_line(found[name])}")
    for copy in found["copies"]:
        click.echo(f"copy   {one_line(copy)}")


def tell_unread(rows: list[dict]) -> int:
    """Print on stderr what could not be read; returns how many."""
    from crowdmood.errors import one_line

    unread = [row for row in rows if row["error"]]
    for row in unread[:MOST_TOLD]:
        folder = row["file"].rpartition("/")[0]
        click.echo(f"crowdmood: {one_line(folder + '/' if folder else '')}{one_line(row['reason'])}", err=True)
    if len(unread) > MOST_TOLD:
        click.echo(f"crowdmood: and {len(unread) - MOST_TOLD} more that could not be read; the page and --json name all", err=True)
    return len(unread)


@photos.command(short_help="Tell what the faces in one photo show.")
@click.argument("source", metavar="FILE|URL")
@click.option("--out", metavar="FILE.png|FILE.jpg", type=click.Path(dir_okay=False), help="Write the picture with the faces drawn on it.")
@click.option("--labels", metavar="NAME,NAME...", help="Tell only between these expressions, such as happy,sad.")
@click.option("--by", type=click.Choice(["popularity"]), help="Score the photo by a popularity model, too.")
@click.option("--popularity", metavar="FOLDER", type=click.Path(file_okay=False), help="The model for --by popularity.  [default: the one last trained]")
@click.option("--allow-private", is_flag=True, help="Fetch a URL also from a private network or this machine.")
@photo_settings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(source: str, out: str | None, labels: str | None, allow_private: bool, as_json: bool, **settings) -> None:
    """Tell what the faces in one photo show, a file or a picture on the web. Of an animation it is the first frame.

    With --labels the probabilities are those of the named expressions alone; 'of all' says how much the seven gave them together,
    and where that is little, none of them is really shown. A picture on the web is fetched over http or https only, up to 50 MB in
    30 seconds, and nothing of it is kept.

    \b
      crowdmood photos show portrait.jpg
      crowdmood photos show portrait.jpg --labels happy,sad --out faces.png
      crowdmood photos show https://example.org/team.jpg --json
      crowdmood photos show portrait.jpg --by popularity      after crowdmood train popularity
    """
    from crowdmood.photos.answers import described, popularity_model, shown_photo
    from crowdmood.photos.popularity import how_good, popularity_of
    from crowdmood.photos.show import check_labels, check_picture_name, write_annotated

    if out:
        check_picture_name(Path(out))
    names = tuple(name.strip() for name in labels.split(",")) if labels is not None else ()
    if labels is not None:
        check_labels(names)
    by, folder = settings.pop("by"), settings.pop("popularity")
    model = popularity_model({"by": by, "model": folder})
    whole = shown_photo(source, *split_photo_settings(settings), allow_private)
    photo = whole.among(names) if names else whole
    if out:
        write_annotated(photo, Path(out))
    found = described(photo, source) | ({"picture": out} if out else {}) | ({"popularity": round(popularity_of(whole, model), 4), "model": how_good(model)} if model else {})
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        show_faces(found, photo.labels, bool(names))


def show_faces(found: dict, labels: tuple[str, ...], some: bool) -> None:
    """Print the faces as a table."""
    from crowdmood.errors import one_line
    from crowdmood.rows import write_aligned

    count = len(found["faces"])
    click.echo(f"{one_line(found['photo'])}, {found['format']} {found['width']} x {found['height']}: "
               + ("no face was found" if not count else f"{count} face" + ("s" if count > 1 else "")))
    if count:
        head = ("face", "shows", *labels, *(("of all",) if some else ()), "left", "top", "size")
        rows = [[str(at), face["expression"], *(f"{face['probability'][name]:.1%}" for name in labels),
                 *((f"{face['of_all']:.1%}",) if some else ()), *(f"{face[name]:.0f}" for name in ("x1", "y1", "size_px"))]
                for at, face in enumerate(found["faces"], 1)]
        click.echo()
        write_aligned(head, rows, set(head) - {"shows"}, sys.stdout)
    if any(face["expression"] == "uncertain" for face in found["faces"]):
        other = ", or showing something else ('of all' is what the named expressions have of all seven)" if some else ""
        click.echo(f"\nuncertain: too small, too blurred or too undecided to be counted{other}")
    if "popularity" in found:
        click.echo(f"\npopularity {found['popularity']:.0%}: how likely it is among the more popular half of the pictures that the model was trained on\n"
                   f"model: {found['model']}")
    if "picture" in found:
        click.echo(f"\npicture {one_line(found['picture'])}")
