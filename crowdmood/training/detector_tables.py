"""Tables of a face detector's figures: Markdown that also reads well on a terminal.

    metrics      {detector: {set: {band: summarize(...)}}}, the model's own first
    speed        {detector: {ms, processor_ms, runtime, score}}, {"picture": "612 x 408"} beside them
    false_faces  {"films" or "scenes": {detector: count_false_faces(...)}}
    tiles        {kind of frame: {value of --tiles: cost_and_yield(...)}}
    widerface    {detector: {easy, medium, hard}}
"""

from __future__ import annotations

from crowdmood.training.detector_evaluation import SCORES

CURVES = "precision_recall.png"
METRICS_TEXT = (
    "On `test.parquet`: match at IoU 0.5; a band is about the height of the box; faces outside the band "
    "are ignored; in brackets 95 % of a bootstrap over pictures. *Ahead*: by how much this model is "
    "better than that detector on the same resampled pictures; it is surely better where both ends are "
    "above 0. Boxes of 'human' are drawn by people. Boxes of 'teacher' are those of YuNet at the "
    "picture's own size and twice that: `yunet own size` is measured against itself there, and no other "
    "detector can look better. Faces under 12 px are incompletely labelled, and detections of that size "
    "never count as wrong: the band 8-16 flatters every detector's precision. Every detector sees the "
    "picture with its longer side at the same length; this one enlarges pictures by 1.25 at most."
)
SPEED_TEXT = (
    "Median milliseconds a frame of {picture} pixels, one CPU thread, detectors in turn on each picture; "
    "suppression of doubles included. Where the clock says more than the processor, the machine did other "
    "work beside. Ultra-light sees 640 x 480 and "
    "YOLOv8-lite-t 640 x 640 whatever the picture's shape, the others only as much as the picture has."
)
FALSE_TEXT = (
    "Frames without a face, five a second of films, or generated pictures (landscapes, stages, halls, "
    "walls, with balls, letters and heads seen from behind; the generator that training uses too, with "
    "other seeds). Boxes of 12 px and more above the threshold a detector is usually run with; interval: "
    "exact, of a Poisson rate, and too narrow for films, whose frames look alike. *Recall* is that at the "
    "same threshold, human boxes of 24 px and more. *Highest score*: above it no false face was left."
)
THRESHOLDS_TEXT = "Other thresholds of this model, on boxes drawn by people and on the material above:"
TILES_TEXT = (
    "At the model's threshold, one thread. *Wrong*: boxes of 12 px and more in a picture that hit no "
    "labelled face; in crowds many of them are faces without a label."
)
TILES_HEAD = ("recall 12-24 px", "recall 24+ px", "wrong a picture")


def figures_of(card: dict) -> list[str]:
    """Headings, explanations and tables of all figures that are in a card; nothing without figures."""
    parts = []
    if metrics := card.get("metrics"):
        parts += ["## Figures", METRICS_TEXT, metrics_table(metrics), f"![Precision and recall]({CURVES})"]
    if widerface := card.get("widerface"):
        parts += ["## WIDER FACE, validation, official protocol", widerface_table(widerface)]
    if speed := card.get("speed"):
        parts += ["## Time", SPEED_TEXT.format(picture=speed["picture"]), speed_table(speed)]
    if false_faces := card.get("false_faces"):
        parts += ["## False faces", FALSE_TEXT, false_faces_table(false_faces, card.get("metrics", {}))]
        if _has_thresholds(card.get("metrics", {})):
            parts += [THRESHOLDS_TEXT, thresholds_table(card["metrics"], false_faces)]
    if tiles := card.get("tiles"):
        parts += ["## Tiles", TILES_TEXT, tiles_table(tiles)]
    if evaluation := card.get("evaluation"):
        parts += [f"Measured with\n\n    {evaluation['command']}"]
    return parts


def _has_thresholds(metrics: dict) -> bool:
    first = next(iter(metrics.values()), {})
    return "recall_at" in first.get("human", {}).get("24+", {})


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table with columns of even width."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
             for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def metrics_table(metrics: dict) -> str:
    """Every detector in every band of every set."""
    rows = []
    first = next(iter(metrics.values()))
    for one_set, band in ((one_set, band) for one_set, bands in first.items() for band in bands):
        for detector, table in metrics.items():
            one = table.get(one_set, {}).get(band)
            if one is not None and "recall" in one:
                cells = [f"{one[key]:.3f} {_interval(one[f'{key}_interval'])}" for key in ("ap", "recall")]
                ahead = [_interval(one[f"{key}_behind"], "+") if f"{key}_behind" in one else ""
                         for key in ("ap", "recall")]
                rows.append([one_set, band, f"{one['faces']:,}", detector, cells[0], ahead[0], cells[1], ahead[1]])
    head = ["boxes", "band, px", "faces", "detector", "AP", "ahead", "recall at precision 0.9", "ahead"]
    return markdown(head, rows)


def _interval(ends: list[float], sign: str = "") -> str:
    return f"[{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"


def speed_table(speed: dict) -> str:
    """Milliseconds of every detector."""
    rows = [[name, one["runtime"], f"{one['score']:.3f}", f"{one['processor_ms']:.1f}", f"{one['ms']:.1f}"]
            for name, one in speed.items() if isinstance(one, dict)]
    return markdown(["detector", "runs on", "threshold", "processor, ms", "clock, ms"], rows)


def false_faces_table(false_faces: dict, metrics: dict) -> str:
    """False faces of every detector in films and in scenes."""
    rows = []
    for kind, detectors in false_faces.items():
        for name, one in detectors.items():
            recall = metrics.get(name, {}).get("human", {}).get("24+", {}).get("recall_shown")
            rate = f"{one['per_200']:.2f} {_interval(one['per_200_interval'])}"
            rows.append([kind, f"{one['frames']:,}", name, f"{one['score']:.3f}", f"{one['false_faces']:,}", rate,
                         f"{one['best']:.3f}", "" if recall is None else f"{recall:.3f}"])
    head = ["material", "frames", "detector", "threshold", "false faces", "in 200 frames", "highest score", "recall"]
    return markdown(head, rows)


def thresholds_table(metrics: dict, false_faces: dict) -> str:
    """What other thresholds of the model would find, and how often they would be wrong where there is no face."""
    name, bands = next((name, sets["human"]) for name, sets in metrics.items())
    counts = {f"{kind}: false of {one[name]['frames']:,}": one[name]["at"]
              for kind, one in false_faces.items() if name in one}
    rows = []
    for nth, score in enumerate(SCORES):
        found = [f"{bands[band][key][nth]:.3f}" for band in ("12-24", "24+") for key in ("recall_at", "precision_at")]
        rows.append([f"{score:g}", *found, *(str(at[nth]) for at in counts.values())])
    bands_head = [f"{key} {band} px" for band in ("12-24", "24+") for key in ("recall", "precision")]
    return markdown(["threshold", *bands_head, *counts], rows)


def tiles_table(tiles: dict) -> str:
    """Recall, wrong boxes and cost of each value of --tiles."""
    rows = [[kind, str(one["pictures"]), setting, *_tiles_cells(one)]
            for kind, settings in tiles.items() for setting, one in settings.items()]
    return markdown(["frames", "number", "tiles", *TILES_HEAD, "processor, ms (median)"], rows)


def rules_table(rules: list[dict]) -> str:
    """What automatic rules would find and cost."""
    rows = [[one["kind"], f"{one['least']} faces, median < {one['small']:g} px: {one['grid']}",
             f"{100 * one['again']:.0f} %", *_tiles_cells(one)] for one in rules]
    return markdown(["frames", "look again from", "of the frames", *TILES_HEAD, "processor, ms (mean)"], rows)


def _tiles_cells(one: dict) -> list[str]:
    recalls = [f"{one[f'recall_{size}']:.3f} of {one[f'faces_{size}']:,}" for size in ("small", "large")]
    return [*recalls, f"{one['wrong']:.2f}", f"{one['ms']:.0f}"]


def widerface_table(widerface: dict) -> str:
    """AP on the three lists, in per cent."""
    lists = ("easy", "medium", "hard")
    rows = [[name, *(f"{100 * one[key]:.1f}" for key in lists)] for name, one in widerface.items()]
    return markdown(["detector", *lists], rows)
