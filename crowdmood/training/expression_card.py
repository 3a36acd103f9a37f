"""The words around an expression net: its README."""

from __future__ import annotations

from crowdmood.labels import EXPRESSIONS
from crowdmood.training.expression_tables import (
    end_to_end_text,
    figures_text,
    photos_text,
    table,
    wrap,
)


def readme_text(card: dict, figures: dict) -> str:
    """The model folder's README.md; figures: the content of its figures.json, any part may be missing."""
    parts = [*_what(card), *_how(card)]
    if faces := figures.get("faces"):
        parts += ["## Figures on labelled faces", _made_by(faces), figures_text(faces), _reading(card)]
        parts += ["![Confusion](confusion.png)", "![Reliability](reliability.png)"]
    if photos := figures.get("photos"):
        parts += ["## Whole photographs", _made_by(photos), PHOTOS, photos_text(photos)]
    if film := figures.get("end_to_end"):
        parts += ["## End to end: faces in a film", _made_by(film), _film(film), end_to_end_text(film)]
    return "\n\n".join((*parts, *_course(figures.get("course", [])), *_limits(card))) + "\n"


PHOTOS = wrap(
    """Each photograph goes through the shipped face detector at its default settings and through the
    product's own cropper; the largest face counts. `Renormalised`: only the probabilities of the labels in
    the file are compared, as somebody would who knows that nothing else occurs.
    """
)


def _made_by(figures: dict) -> str:
    return f"`{figures['command']}`" if "command" in figures else ""


def _film(film: dict) -> str:
    return wrap(
        f"""{film["faces"]} faces of {film["split"]} with a clear majority, each put at every side on drawn
        heads and shoulders in generated scenes ({film["width"]} x {film["height"]}, {film["fps"]} frames/s, slowly
        drifting, H.264 at {film["bit_rate"] / 1e6:g} Mbit/s) and analyzed by `crowdmood analyze`, detector
        {film["detector"]}, with {film["sample_fps"]:g} looks a second. `Side`: of the crop. `Product`: the
        faces it found, whether accepted or not. `Lost`: points from the clean crop of that side (48 px and
        more: the clean crop itself) to the product on the same faces, in brackets 95 % of a bootstrap over
        faces. Crops of more than 48 px are enlarged ones."""
    )


def _what(card: dict) -> list[str]:
    shape = card["input"]
    net = f"""{card["architecture"].capitalize()}; {card["parameters"] / 1e6:.2f} million parameters,
        {card["mflop"]:.0f} MFLOP a face. Takes grey crops of {shape["size"]} x {shape["size"]} pixels
        (0..255, normalised inside) and gives logits of {", ".join(card["labels"])}; probabilities are
        softmax(logits / {card["temperature"]})."""
    crop = f"""The crop is a square: side = {shape["margin"]} x the longer side of the face's box, its centre
        {shape["shift_y"]} sides below the box's centre (negative: above). {_margin(card)}"""
    return [f"# {card['name']}", wrap(net), *_some_labels(card), wrap(crop)]


def _margin(card: dict) -> str:
    if card["training"].get("voted", True):
        return """The margin is the one at which faces of `public_test`, pasted into a film and found by our detector,
            were read best."""
    return """The margin fits crops such as FER2013's, from the hairline to the chin; if the pictures that were learned
        from show more or less around the face, change `margin` in card.toml accordingly."""


def _some_labels(card: dict) -> list[str]:
    """What a net of fewer labels than the seven is not fit for."""
    lacking = [name for name in EXPRESSIONS if name not in card["labels"]]
    if not lacking:
        return []
    labels = ",".join(card["labels"])
    text = f"""**Knows only {", ".join(card["labels"])}**: it was trained with `--labels {labels}`, so every face is one of
        them to it, also one that shows {lacking[-1]}. `crowdmood analyze` refuses it, as tables have all seven; it is
        measured by `crowdmood evaluate expression --model FOLDER`."""
    return [wrap(text)]


def _how(card: dict) -> list[str]:
    facts = card["training"]
    text = f"""{facts["epochs"]} epochs in {facts["seconds"] / 60:.0f} minutes ({facts["device"]}). Data:
        `{facts["data"]}` (sha256 `{facts["data_sha256"]}`), {_learned_from(facts)} {_changed(facts)} The weights are
        a running average{_ended(facts)}; head, temperature and thresholds were chosen on `public_test`;
        `private_test` was used for the figures only. {facts.get("note", "")}"""
    parts = ["## Training", f"`{facts['command']}`", wrap(text)]
    return parts if facts["finished"] else [*parts, "**Interim: exported while the training still ran.**"]


def _learned_from(facts: dict) -> str:
    count = f"{facts['faces_learned_from']:,} of the {facts['faces_in_train']:,} pictures of `train`"
    if facts.get("voted", True):
        return f"""FER2013 pictures with FERPlus votes. Learned from {count}: left out are those that the test splits hold
            too (identical pixels) and those that most people called not a face. Targets: one head for the distribution of
            votes over the expressions (contempt, unknown and not-a-face left out), one for the FER2013 label."""
    return f"""one label for each picture. Learned from {count}: left out are those that the test splits hold too
        (identical pixels). Splits that were not there were drawn with seed {facts["split_seed"]}; two heads learn the same
        label."""


def _changed(facts: dict) -> str:
    share = facts.get("recipe", {}).get("augmentation", 1.0)
    how = "turned, shifted, scaled, darkened, blurred, covered in part, shrunk to 16-40 px and compressed at random"
    weights = facts.get("recipe", {}).get("class_weights", "none")
    weighed = "" if weights == "none" else f" Labels were weighed: {weights}."
    if share >= 1:
        return f"Pictures were {how}.{weighed}"
    return f"{100 * share:.0f} % of the pictures were {how}, the others mirrored only.{weighed}"


def _ended(facts: dict) -> str:
    if "best_epoch" not in facts:
        return ""
    return f", those with the least loss on `public_test` (epoch {facts['best_epoch']})"


def _reading(card: dict) -> str:
    usable = card["usable"]
    truth = "majority of votes" if card["training"].get("voted", True) else "label"
    return wrap(
        f"""Intervals are Wilson's. By side: every face with a {truth}, shrunk to the given side and
        enlarged again as the product does. `Accepted`: those that the thresholds let through. A face is
        'uncertain' below {usable["min_size_px"]} px (root of its box's area), below a sharpness of
        {usable["min_sharpness"]} (variance of the Laplacian of the crop), below a detector score of
        {usable["min_score"]} (no part here), or above an entropy of {usable["max_entropy"]} nats. Confusion
        and scores by class: {truth}, all faces. The label's head is in weights.safetensors, not in
        the ONNX file."""
    )


def _course(course: list[dict]) -> list[str]:
    if not course:
        return []
    chosen = course[:: max(1, len(course) // 10)]
    if chosen[-1] is not course[-1]:
        chosen = [*chosen, course[-1]]
    names = {"majority": "majority", "clear": "clear majority", "label": "FER2013 label (its head)"}
    if not course[-1].get("voted", True):
        names = {"majority": "accuracy", "label": "accuracy of the label's head"}
    rows = [
        [str(line["epoch"]), f"{line['seconds'] / 60:.1f}", *(f"{100 * line[key]:.2f}" for key in names)]
        for line in chosen
    ]
    head = ["epoch", "minutes", *names.values()]
    title = "## Course of the training (averaged weights on public_test, %)"
    return [title, table(head, rows), "![Course of the training](course.png)"]


def _limits(card: dict) -> list[str]:
    text = f"""{card["limits"]} Labels are opinions: ten people looked at each small picture and often
        disagreed. Disgust and fear are rare in the data and weakly recognised. FER2013's pictures come from a
        web search; their terms are not known in full."""
    if not card["training"].get("voted", True):
        text = f"{card['limits']} Labels are opinions, here of whoever sorted the pictures."
    advice = """Whoever has labels of groups (skin tone, age, sex) measures the differences with
        `crowdmood evaluate expression --data TABLE --by COLUMN`, which gives accuracy by group with bootstrap
        intervals and the largest difference."""
    return ["## Limits", wrap(text), wrap(advice)]
