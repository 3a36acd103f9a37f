"""A walk through a run's results in Python: pandas, Polars, Arrow, DuckDB, SQL reports, a chart, exports.

    pip install 'crowdmood[notebook]'
    marimo edit docs/walkthrough.py                              # on the demo clip
    marimo edit docs/walkthrough.py -- --recording concert.mp4   # on your own
    marimo export html docs/walkthrough.py -o walkthrough.html
"""

# ruff: noqa: B018  (a cell shows its last expression)
import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="crowdmood: a walk through the results")


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    # A walk through the results

    crowdmood reads which expressions the faces of a recording *show*, which is not what anybody felt. Here it looks at a short clip
    made of a few photographs, so that this page runs anywhere; with `-- --recording concert.mp4` it looks at yours.
    """)


@app.cell
def _():
    import tempfile
    from pathlib import Path

    import duckdb
    import marimo as mo
    import matplotlib.pyplot as plt
    import polars as pl
    import pyarrow.compute as pc

    import crowdmood
    from crowdmood.demo import write_clip
    from crowdmood.palette import EXPRESSION_COLOURS, STACK_ORDER

    return EXPRESSION_COLOURS, Path, STACK_ORDER, crowdmood, duckdb, mo, pc, pl, plt, tempfile, write_clip


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Analyze
    `crowdmood.analyze` returns a `Run`. What is analyzed already is not analyzed again: `crowdmood.open_run("concert")` opens it by name.
    """)


@app.cell
def _(Path, crowdmood, mo, tempfile, write_clip):
    results = Path(tempfile.mkdtemp(prefix="crowdmood-walkthrough-"))
    recording = mo.cli_args().get("recording")
    if recording is None:
        recording = results / "demo.mp4"
        write_clip(recording)
    run = crowdmood.analyze(recording, results=results)
    {name: run.info[name] for name in ("recording", "duration_s", "frames_analyzed", "faces", "persons", "decoder", "runtime")}
    return results, run


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## pandas
    `run.faces`, `run.frames`, `run.persons` and `run.timeline` are Arrow tables; `.to_pandas()` makes them pandas. A second's `happy`
    is the mean over its *usable* faces. Always look at how many these were.
    """)


@app.cell
def _(run):
    timeline = run.timeline.to_pandas()
    happiest = timeline[timeline.usable_faces >= timeline.usable_faces.median() / 2].nlargest(3, "happy")
    happiest[["second", "happy", "persons", "usable_faces"]].round(3)
    return happiest, timeline


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Polars
    Arrow columns are taken over without a copy. How much does each person show, and on how many faces does that stand?
    """)


@app.cell
def _(pl, run):
    persons = (
        pl.from_arrow(run.faces)
        .filter(pl.col("usable") & pl.col("person").is_not_null())
        .group_by("person")
        .agg(pl.len().alias("usable_faces"), pl.mean("happy", "neutral"), pl.max("expressiveness").alias("liveliest"))
        .sort("happy", descending=True)
    )
    persons.with_columns(pl.col(pl.Float32).round(3))
    return (persons,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Arrow
    For a figure or two no data frame is needed. Every column says what it means.
    """)


@app.cell
def _(pc, run):
    faces = run.faces
    coverage = pc.mean(faces["usable"]).as_py()
    meaning = faces.schema.field("usable").metadata[b"description"].decode()
    {"coverage": round(coverage, 3), "faces": faces.num_rows, "usable": meaning}
    return coverage, faces


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## SQL
    `run.sql` asks one run, `crowdmood.sql` all runs of a results folder. Both answer with Arrow tables, and can only read.
    """)


@app.cell
def _(crowdmood, results):
    recordings = crowdmood.sql(
        """
        SELECT recording, count(*) AS seconds, max(timeline.persons) AS most_persons, round(avg(positivity), 2) AS positivity
        FROM timeline JOIN runs USING (run)
        GROUP BY recording
        """,
        results,
    )
    recordings.to_pandas()
    return (recordings,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    DuckDB itself can ask, too: the results folder has a catalog for any client, and Arrow tables are tables to it.
    """)


@app.cell
def _(duckdb, faces, results):
    with duckdb.connect(results / "crowdmood.duckdb", read_only=True) as catalog:
        by_expression = catalog.sql("SELECT expression, count(*) AS faces FROM faces GROUP BY ALL ORDER BY ALL").df()
    largest = duckdb.sql("SELECT max(size_px) AS largest_px FROM faces").fetchall()[0][0]
    by_expression
    return by_expression, largest


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Reports
    Every report of `crowdmood report --list` can be asked from here, with its parameters: `run.ask` for one run, `crowdmood.ask` for
    all. Your own `.sql` file is a report, too. What changed after the sixth second, when the camera begins to move?
    """)


@app.cell
def _(run):
    reaction = run.ask("reaction", at="0:06", window=4).to_pandas()
    reaction[["expression", "before", "after", "change", "faces_before", "faces_after"]].round(3)
    return (reaction,)


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## A chart
    Each expression has one colour wherever crowdmood draws; they can be told apart by the colour-blind.
    """)


@app.cell
def _(EXPRESSION_COLOURS, STACK_ORDER, plt, timeline):
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    names = list(STACK_ORDER)
    axes.stackplot(timeline.second + 0.5, timeline[names].T, labels=names, colors=[EXPRESSION_COLOURS[name] for name in names])
    axes.set(xlabel="seconds", ylabel="share", ylim=(0, 1), title="Expressions shown, mean over usable faces")
    axes.margins(x=0)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), reverse=True, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure
    return axes, figure


@app.cell(hide_code=True)
def _(mo):
    mo.md("""
    ## Into other tools
    `crowdmood.export` writes what py-feat, OpenFace's and deepface's users, MOT tools and video players read.
    """)


@app.cell
def _(crowdmood, mo, results, run):
    moods = results / "moods.vtt"
    crowdmood.export(run, "vtt", moods, every_s=3)
    mo.plain_text(moods.read_text(encoding="utf-8"))
    return (moods,)


if __name__ == "__main__":
    app.run()
