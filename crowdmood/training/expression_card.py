"""The words around an expression net: its card (TOML), its README, and its figures as text for a terminal."""

from __future__ import annotations

import textwrap

from crowdmood.labels import EXPRESSIONS

SET_NAMES = {
    "majority": "majority of votes",
    "majority_not_in_train": "majority of votes, pictures not in `train`",
    "clear": "clear majority (more than half of ten votes)",
    "clear_not_in_train": "clear majority, pictures not in `train`",
    "label": "FER2013 label (votes' head)",
    "label_not_in_train": "FER2013 label, pictures not in `train` (votes' head)",
    "label_head": "FER2013 label (label's head, not in the ONNX file)",
}


def card_text(card: dict) -> str:
    """A card as TOML: plain values first, then one table for each dictionary."""
    plain = [f"{key} = {_value(value)}" for key, value in card.items() if not isinstance(value, dict)]
    tables = [
        ["", f"[{key}]", *(f"{_key(name)} = {_value(item)}" for name, item in value.items())]
        for key, value in card.items()
        if isinstance(value, dict)
    ]
    return "\n".join([*plain, *(line for table in tables for line in table)]) + "\n"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def figures_text(figures: dict) -> str:
    """The figures as Markdown tables that also read well on a terminal."""
    return "\n\n".join(
        (_accuracies(figures), _single(figures), _sides(figures), _confusion(figures), _classes(figures))
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _percent(found: dict) -> list[str]:
    return [
        f"{100 * found['accuracy']:.2f}",
        f"{100 * found['low']:.2f} - {100 * found['high']:.2f}",
        str(found["n"]),
    ]


def _accuracies(figures: dict) -> str:
    rows = [[SET_NAMES[name], *_percent(figures[name])] for name in SET_NAMES if name in figures]
    return _table([f"accuracy on {figures['split']}, %", "value", "95 % interval", "n"], rows)


def _single(figures: dict) -> str:
    return _wrap(
        f"""Macro F1 on the majority: {figures["macro_f1"]:.3f}. Expected calibration error on the majority,
        {figures["split"]}: {figures["ece_before"]:.3f} before temperature scaling, {figures["ece"]:.3f}
        after."""
    )


def _sides(figures: dict) -> str:
    rows = []
    for side, taken in figures["accepted"].items():
        every = figures["majority"] if side == "48" else figures["sides"].get(side)
        rows.append(
            [
                f"{side} px",
                *(_percent(every)[:2] if every else ["", ""]),
                f"{100 * taken['accepted']:.1f}",
                f"{100 * taken['accuracy']:.2f}" if taken["n"] else "",
            ]
        )
    return _table(
        ["side of the crop", "all, %", "95 % interval", "accepted, %", "accuracy of the accepted, %"], rows
    )


def _confusion(figures: dict) -> str:
    rows = [
        [name, *(str(count) for count in line)]
        for name, line in zip(EXPRESSIONS, figures["confusion"], strict=True)
    ]
    return _table(["people say / net says", *EXPRESSIONS], rows)


def _classes(figures: dict) -> str:
    rows = [
        [name, *(f"{score[key]:.3f}" for key in ("precision", "recall", "f1")), str(score["n"])]
        for name, score in figures["classes"].items()
    ]
    return _table(["class", "precision", "recall", "F1", "n"], rows)


def _wrap(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, break_long_words=False, break_on_hyphens=False)


def readme_text(card: dict, figures: dict, history: list[dict]) -> str:
    """The model folder's README.md."""
    parts = (*_what(card), *_how(card), "## Figures", figures_text(figures), _reading(card))
    return "\n\n".join((*parts, *_course(history), *_limits(card))) + "\n"


def _what(card: dict) -> list[str]:
    shape = card["input"]
    net = f"""{card["architecture"].capitalize()}; {card["parameters"] / 1e6:.2f} million parameters,
        {card["mflop"]:.0f} MFLOP a face. Takes grey crops of {shape["size"]} x {shape["size"]} pixels
        (0..255,
        normalised inside) and gives logits of {", ".join(EXPRESSIONS)}; probabilities are
        softmax(logits / {card["temperature"]})."""
    crop = f"""The crop is a square: side = {shape["margin"]} x the longer side of the face's box,
        its centre {shape["shift_y"]} sides below the box's centre (negative: above). Both are medians over
        1,490 training pictures in which our detector found the face."""
    return [f"# {card['name']}", _wrap(net), _wrap(crop)]


def _how(card: dict) -> list[str]:
    facts = card["training"]
    text = f"""{facts["epochs"]} epochs in {facts["seconds"] / 60:.0f} minutes ({facts["device"]}). Data:
        `{facts["data"]}` (sha256 `{facts["data_sha256"]}`), FER2013 pictures with FERPlus votes. Learned from
        {facts["faces_learned_from"]:,} of the {facts["faces_in_train"]:,} pictures of `train`: left out are
        those
        that the test splits hold too (identical pixels) and those that most people called not a face.
        Targets:
        one head for the distribution of votes over the seven expressions (contempt, unknown and not-a-face
        left
        out), one for the FER2013 label. Pictures were turned, shifted, scaled, darkened, blurred, covered in
        part, shrunk to 16-40 px and compressed at random. The weights are a running average; head,
        temperature
        and thresholds were chosen on `public_test`; `private_test` was used for the figures only."""
    parts = ["## Training", f"`{facts['command']}`", _wrap(text)]
    return parts if facts["finished"] else [*parts, "**Interim: exported while the training still ran.**"]


def _reading(card: dict) -> str:
    usable = card["usable"]
    return _wrap(
        f"""`All`: every face with a majority of votes, shrunk to the given side and enlarged again as the
        product
        does. `Accepted`: those that the thresholds let through. A face is 'uncertain' below
        {usable["min_size_px"]} px (root of its box's area), below a sharpness of {usable["min_sharpness"]}
        (variance of the Laplacian of the crop), below a detector score of {usable["min_score"]} (not measured
        here), or above an entropy of {usable["max_entropy"]} nats. Confusion and scores by class: majority of
        votes, all faces."""
    )


def _course(history: list[dict]) -> list[str]:
    chosen = history[:: max(1, len(history) // 12)]
    if history and chosen[-1] is not history[-1]:
        chosen = [*chosen, history[-1]]
    keys = ("majority", "clear", "label")
    rows = [
        [str(line["epoch"]), f"{line['seconds'] / 60:.1f}", *(f"{100 * line[key]:.2f}" for key in keys)]
        for line in chosen
    ]
    head = ["epoch", "minutes", "majority", "clear majority", "FER2013 label (its head)"]
    return ["## Course of the training (averaged weights on public_test, %)", _table(head, rows)]


def _limits(card: dict) -> list[str]:
    text = f"""{card["limits"]} Labels are opinions: ten people looked at each small picture and often
        disagreed.
        Disgust and fear are rare in the data and weakly recognised. FER2013's pictures come from a web
        search;
        their terms are not known in full."""
    return ["## Limits", _wrap(text)]
