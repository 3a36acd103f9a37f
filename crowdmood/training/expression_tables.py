"""The figures of an expression net as Markdown tables, which read well on a terminal too."""

from __future__ import annotations

import textwrap

from crowdmood.labels import EXPRESSIONS

SET_NAMES = {
    "majority": "FERPlus: majority of votes",
    "clear": "FERPlus: clear majority (more than half of ten votes)",
    "label": "FER2013 label, votes' head (it ships)",
    "label_head": "FER2013 label, label's head",
}
UNVOTED_NAMES = {"label": "label, the head that ships", "label_head": "label, label's head"}


def figures_text(figures: dict) -> str:
    """The figures on labelled faces."""
    parts = [_accuracies(figures), _single(figures)]
    if "against" in figures:
        parts.append(_against(figures["against"]))
    labels = tuple(figures.get("labels", EXPRESSIONS))
    parts += [_sides(figures), _confusion(figures["confusion"], labels, labels), _classes(figures)]
    return "\n\n".join(
        [*parts, *(groups_text(column, found) for column, found in figures.get("by", {}).items())]
    )


def folds_text(figures: dict) -> str:
    """The figures of a cross-validation."""
    pooled, labels = figures["pooled"], tuple(figures["pooled"]["labels"])
    rows = [[name, *(f"{one[key]:.4f}" for key in ("mean", "low", "high", "deviation"))] for name, one in figures["values"].items()]
    said = wrap(
        f"""{figures["folds"]} folds of {figures["faces"]:,} faces, drawn {figures["repeats"]} time(s): mean over
        {len(figures["measured"])} trainings, each measured on the fold that it did not see. The interval is of the mean,
        corrected for trainings that share faces (Nadeau and Bengio, 2003). Below: all held-out faces together."""
    )
    return "\n\n".join(
        (table(["held-out folds", "mean", "95 % low", "95 % high", "deviation"], rows), said,
         _confusion(pooled["confusion"], labels, labels))
    )  # fmt: skip


def photos_text(figures: dict) -> str:
    """The figures on whole photographs."""
    known, seven = figures["labels"], figures["seven"]
    rows = [
        [f"one of {', '.join(known)} (renormalised)", *_percent(figures["among_labels"])],
        ["one of seven", *_percent(seven)],
        ["one of seven, faces that are not uncertain", *_percent(figures["accepted"])],
    ]
    said = f"""Face found in {figures["found"]} of {figures["photos"]} photographs; {figures["uncertain"]} of
        these faces are uncertain."""
    if "auc" in figures:
        said += f" Area under the ROC curve, {known[0]} against {known[1]}: {figures['auc']:.4f}."
    parts = [
        table(["right, %", "value", "95 % interval", "photographs"], rows),
        wrap(said),
        _confusion(figures["confusion"], known, EXPRESSIONS),
    ]
    return "\n\n".join(
        [*parts, *(groups_text(column, found) for column, found in figures.get("by", {}).items())]
    )


def end_to_end_text(figures: dict) -> str:
    """The figures on faces pasted into a film."""
    head = ["side", "looks", "found, %", "clean 48 px, %", "clean, this side, %", "product, %",
            "lost, points", "uncertain, %", "product, accepted, %"]  # fmt: skip
    rows = [
        [
            name,
            str(one["looks"]),
            f"{100 * one['found']:.1f}",
            *(f"{100 * one[key]:.1f}" for key in ("clean", "clean_at_side", "product")),
            f"{100 * one['lost']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]",
            f"{100 * one['uncertain']:.1f}",
            f"{100 * one['product_accepted']:.1f}",
        ]
        for name, one in figures["sides"].items()
    ]
    scores = [
        [
            band,
            str(one["n"]),
            *(f"{100 * one[key]:.1f}" for key in ("accuracy", "clear", "clear_accuracy")),
            str(one["false"]),
        ]
        for band, one in figures["scores"].items()
    ]
    head_scores = [
        "detector score",
        "looks",
        "product, %",
        "clear, %",
        "product, clear, %",
        "found, but no face",
    ]
    said = wrap(
        f"""`Clear`: large, sharp and decided enough to be accepted, whatever the detector's score.
        {figures["false_faces"]} boxes in {figures["looked_at"]} frames were no face that was put there."""
    )
    return "\n\n".join((table(head, rows), table(head_scores, scores), said))


def groups_text(column: str, figures: dict) -> str:
    """Accuracy by the values of a column, and the largest difference."""
    rows = [[name, *_percent(one)] for name, one in figures["groups"].items()]
    text = table([column, "right, %", "95 % interval (bootstrap)", "n"], rows)
    if "largest" not in figures:
        return text
    found = figures["largest"]
    return text + "\n\n" + wrap(
        f"""Largest difference: {found["best"]} over {found["worst"]} by {100 * found["difference"]:.1f}
        points [{100 * found["low"]:.1f}, {100 * found["high"]:.1f}]; groups of these sizes drawn at random
        differ as much in {100 * found["chance"]:.1f} % of draws."""
    )  # fmt: skip


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns are as wide as their widest cell."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def wrap(text: str) -> str:
    """A paragraph in lines of at most 110 characters."""
    return textwrap.fill(" ".join(text.split()), 110, break_long_words=False, break_on_hyphens=False)


def _percent(found: dict) -> list[str]:
    return [
        f"{100 * found['accuracy']:.2f}",
        f"{100 * found['low']:.2f} - {100 * found['high']:.2f}",
        str(found["n"]),
    ]


def _accuracies(figures: dict) -> str:
    rows = []
    for name, words in (SET_NAMES if figures.get("voted", True) else UNVOTED_NAMES).items():
        if name in figures:
            rows.append([words, *_percent(figures[name])])
            rows.append(["... of these, pictures not in `train`", *_percent(figures[f"{name}_not_in_train"])])
    return table([f"accuracy on {figures['split']}, %", "value", "95 % interval", "n"], rows)


def _single(figures: dict) -> str:
    kind = "majority" if figures.get("voted", True) else "label"
    return wrap(
        f"""Macro F1 on the {kind}: {figures["macro_f1"]:.3f}. Expected calibration error on the {kind},
        {figures["split"]}: {figures["ece_before"]:.3f} before temperature scaling, {figures["ece"]:.3f}
        after."""
    )


def _against(found: dict) -> str:
    names = {"label": "FER2013 label", "majority": "FERPlus majority", "clear": "FERPlus clear majority"}
    rows = []
    for name, words in names.items():
        for key, note in ((name, ""), (f"{name}_not_in_train", ", not in `train`")):
            one = found[key]
            gap = f"{100 * one['difference']:+.1f} [{100 * one['low']:+.1f}, {100 * one['high']:+.1f}]"
            rows.append(
                [words + note, *(f"{100 * one[k]:.2f}" for k in ("accuracy", "other")), gap, str(one["n"])]
            )
    for key, words in (("macro_f1", "macro F1, majority"), ("ece", "calibration error, majority")):
        rows.append([words, *(f"{value:.3f}" for value in found[key]), "", ""])
    head = [f"same {found['faces']} faces", "this net", found["name"], "difference, points, 95 %", "n"]
    asked = "its label's head on the FER2013 label" if found["label_head"] else "its votes' head"
    return (
        table(head, rows) + "\n\n" + wrap(f"This net is asked through {asked}, else through its votes' head.")
    )


def _sides(figures: dict) -> str:
    rows = []
    for side, taken in figures["accepted"].items():
        some = [f"{100 * taken['accuracy']:.2f}", f"{100 * taken['kept']:.1f}"] if taken["n"] else ["", ""]
        rows.append(
            [f"{side} px", *_percent(figures["sides"][side])[:2], f"{100 * taken['accepted']:.1f}", *some]
        )
    head = ["side of the crop", "all, %", "95 % interval", "accepted, %", "accuracy of the accepted, %"]
    return table([*head, "... of that of all at 48 px, %"], rows)


def _confusion(counts: list[list[int]], rows: tuple[str, ...], columns: tuple[str, ...]) -> str:
    lines = [[name, *map(str, line)] for name, line in zip(rows, counts, strict=True)]
    return table(["people say / net says", *columns], lines)


def _classes(figures: dict) -> str:
    rows = [
        [name, *(f"{score[key]:.3f}" for key in ("precision", "recall", "f1")), str(score["n"])]
        for name, score in figures["classes"].items()
    ]
    return table(["class", "precision", "recall", "F1", "n"], rows)
