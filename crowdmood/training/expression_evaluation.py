"""How good an expression net is, on labelled faces it did not learn from: one dictionary of figures, ready
for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from crowdmood.errors import CrowdmoodError
from crowdmood.expressions import UsableSettings, entropy, load_classifier
from crowdmood.labels import EXPRESSIONS
from crowdmood.models import Model
from crowdmood.sharpness import sharpness
from crowdmood.training.expression_data import LabelledFaces, also_in_train

SIDES = (48, 32, 24, 20, 16, 12)  # of the crop, pixels
ECE_BINS = 15
AT_ONCE = 256
WEIGHTS = "weights.safetensors"

Logits = Callable[[np.ndarray], np.ndarray]  # uint8 (n, 48, 48) -> float32 (n, k), one column for each label


@dataclass(frozen=True)
class Answers:
    """What a model says about the n faces of one split; k labels are the faces'."""

    split: str
    faces: LabelledFaces
    again: np.ndarray  # bool (n,): the very picture is in train, too
    votes: np.ndarray  # float32 (n, k), logits of the head that ships
    label: np.ndarray | None  # float32 (n, k), logits of the label's head, where the weights have it
    small: dict[int, np.ndarray]  # by side: logits (m, k) of the faces with a majority, shrunk to it
    card: dict  # `temperature`, `usable` and `input` are used

    @property
    def temperature(self) -> float:
        """By which logits are divided."""
        return self.card.get("temperature", 1.0)

    @property
    def known(self) -> np.ndarray:
        """bool (n,): faces with a majority of votes."""
        return self.faces.majority >= 0


def known_labels(model: Model) -> tuple[str, ...]:
    """Which of the seven a model knows: all, in their order, or those of its card."""
    own = tuple(name for name in model.card["labels"] if name in EXPRESSIONS)
    return EXPRESSIONS if set(own) == set(EXPRESSIONS) else own


def shipped_logits(model: Model, threads: int = 1, labels: Sequence[str] = EXPRESSIONS) -> Logits:
    """The net as it ships: its ONNX file, its sha256 checked. Size and channels are those of its card."""
    from crowdmood.runtimes import Device

    network = load_classifier(model, Device("cpu", "onnx", threads), labels)
    size, channels = (model.card["input"].get(key, usual) for key, usual in (("size", 48), ("channels", 1)))

    def crops(images: np.ndarray) -> np.ndarray:
        if size != images.shape[1]:
            images = np.stack(
                [cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in images]
            )
        return np.repeat(images[..., None], channels, axis=3)

    def logits(images: np.ndarray) -> np.ndarray:
        parts = [network(crops(images[k : k + AT_ONCE])) for k in range(0, len(images), AT_ONCE)]
        return np.concatenate([np.zeros((0, len(labels)), np.float32), *parts])

    return logits


def label_logits(model: Model, threads: int = 1, labels: Sequence[str] = EXPRESSIONS) -> Logits | None:
    """The variant for the single label of FER2013: the same net, its other head asked in the same way. None
    where the model's weights are not there; the ONNX file has one head only.
    """
    if WEIGHTS not in model.card.get("files", {}):
        return None
    import torch

    from crowdmood.expression_net import expression_network

    torch.set_num_threads(threads)
    net = expression_network(model.file(WEIGHTS))
    net.votes = net.label  # so that whatever `forward` does for the one head it does for the other
    asked, order = torch_logits(net), [model.card["labels"].index(name) for name in labels]
    return lambda images: asked(images)[:, order]


def torch_logits(net) -> Logits:
    """What an expression net's `forward` gives, in batches."""
    import torch

    @torch.inference_mode()
    def logits(images: np.ndarray) -> np.ndarray:
        crops = (torch.from_numpy(images[k : k + AT_ONCE]) for k in range(0, len(images), AT_ONCE))
        parts = [net.eval()(part.float()[:, None]).numpy() for part in crops]
        return np.concatenate([np.zeros((0, net.shape.classes), np.float32), *parts])

    return logits


def ask(faces: LabelledFaces, model: Model, split: str = "private_test", threads: int = 1) -> Answers:
    """Ask a model about one split; of its labels, those of the faces count. Raises CrowdmoodError where the split has no
    face with a majority, or the model does not know a label.
    """
    again = also_in_train(faces)[faces.split == split]
    faces = faces.where(faces.split == split)
    known = faces.majority >= 0
    if not known.any():
        raise CrowdmoodError(f"no faces to measure on: no row of the split '{split}' has a majority of votes")
    if unknown := [name for name in faces.labels if name not in model.card["labels"]]:
        raise CrowdmoodError(f"{model.name} knows no {', '.join(unknown)}; it knows --labels {','.join(known_labels(model))}")
    logits, label = shipped_logits(model, threads, faces.labels), label_logits(model, threads, faces.labels)
    votes = logits(faces.images)
    small = {side: logits(shrink(faces.images[known], side)) for side in SIDES[1:]}
    return Answers(
        split=split,
        faces=faces,
        again=again,
        votes=votes,
        label=label(faces.images) if label else None,
        small={SIDES[0]: votes[known], **small},
        card=model.card,
    )


def evaluate(faces: LabelledFaces, model: Model, split: str = "private_test", threads: int = 1) -> dict:
    """All figures of a model on one split; raises as `ask` does."""
    return measure(ask(faces, model, split, threads))


def measure(answers: Answers) -> dict:
    """All figures of a model's answers."""
    faces, known, again = answers.faces, answers.known, answers.again
    figures = {"split": answers.split, "labels": list(faces.labels), "voted": faces.voted}
    for name, (rows, right) in answer_sets(answers).items():
        figures[name] = share(right[rows])
        figures[f"{name}_not_in_train"] = share(right[rows & ~again])
    truth, found = faces.majority[known], answers.votes[known]
    confusion = confusion_matrix(truth, found.argmax(axis=1), faces.labels)
    scores = class_scores(confusion, faces.labels)
    raw, calm = probabilities(found), probabilities(found, answers.temperature)
    return figures | {
        "macro_f1": macro_f1(scores),
        "ece_before": calibration_error(raw, truth),
        "ece": calibration_error(calm, truth),
        "sides": {str(side): share(one.argmax(axis=1) == truth) for side, one in answers.small.items()},
        "accepted": accepted(answers),
        "classes": scores,
        "confusion": confusion.tolist(),
        "reliability": {"before": reliability(raw, truth), "after": reliability(calm, truth)},
    }


def answer_sets(answers: Answers) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> rows that count, and where the net is right: bool (n,) each."""
    faces, best = answers.faces, answers.votes.argmax(axis=1)
    every = np.ones(len(faces), bool)
    sets = {
        "majority": (answers.known, best == faces.majority),
        "clear": (faces.clear, best == faces.majority),
        "label": (every, best == faces.label),
    }
    if answers.label is not None:
        sets["label_head"] = (every, answers.label.argmax(axis=1) == faces.label)
    return sets


def accepted(answers: Answers) -> dict:
    """What the thresholds in the card's `usable` let through, by side of the crop: the share, its accuracy,
    and what part that is of the accuracy on all faces of 48 px.
    """
    faces = answers.faces.where(answers.known)
    clean = float((answers.small[SIDES[0]].argmax(axis=1) == faces.majority).mean())
    usable, shape = UsableSettings(**answers.card.get("usable", {})), answers.card["input"]
    ratio = shape.get("size_ratio", 1 / shape["margin"])
    table = {}
    for side, found in answers.small.items():
        taken = entropy(probabilities(found, answers.temperature)) <= usable.max_entropy
        taken &= sharpness(shrink(faces.images, side)) >= usable.min_sharpness
        taken &= side * ratio >= usable.min_size_px
        right = share((found.argmax(axis=1) == faces.majority)[taken])
        part = {
            "accepted": round(float(taken.mean()), 4),
            "kept": round(right["accuracy"] / max(clean, 1e-9), 4),
        }
        table[str(side)] = part | right
    return table


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of logits / temperature, float64 (n, k)."""
    power = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64) / temperature)
    return power / power.sum(axis=1, keepdims=True)


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Faces as if they had been `side` pixels wide in the frame: uint8 (n, 48, 48) -> the same, resized as
    the product does.
    """
    if side == images.shape[1]:
        return images
    small = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack([cv2.resize(image, images.shape[1:], interpolation=cv2.INTER_CUBIC) for image in small])


def share(right: np.ndarray) -> dict:
    """Accuracy with Wilson's 95 % interval (E. B. Wilson, 1927). All zero where n is 0."""
    n = len(right)
    if not n:
        return {"accuracy": 0.0, "low": 0.0, "high": 0.0, "n": 0}
    z, p = 1.959964, float(right.mean())
    centre, reach = p + z * z / (2 * n), z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5
    low, high = ((centre + side * reach) / (1 + z * z / n) for side in (-1, 1))
    return {"accuracy": round(p, 4), "low": round(low, 4), "high": round(high, 4), "n": n}


def confusion_matrix(truth: np.ndarray, found: np.ndarray, labels: Sequence[str] = EXPRESSIONS) -> np.ndarray:
    """int64 (k, k): rows are what people saw, columns what the net said."""
    counts = np.zeros((len(labels),) * 2, np.int64)
    np.add.at(counts, (truth, found), 1)
    return counts


def class_scores(confusion: np.ndarray, labels: Sequence[str] = EXPRESSIONS) -> dict:
    """Precision, recall, F1 and n of each class; 0 where there is nothing to divide by."""
    table = {}
    for index, name in enumerate(labels):
        right, said, there = confusion[index, index], confusion[:, index].sum(), confusion[index].sum()
        table[name] = {
            "precision": round(float(right / max(said, 1)), 4),
            "recall": round(float(right / max(there, 1)), 4),
            "f1": round(float(2 * right / max(said + there, 1)), 4),
            "n": int(there),
        }
    return table


def macro_f1(scores: dict) -> float:
    """Mean F1 of the classes, each as important as any other."""
    return round(float(np.mean([score["f1"] for score in scores.values()])), 4)


def calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins of the largest probability (Guo et al., 2017)."""
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == truth
    place = np.minimum((sure * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [abs(sure[place == k].sum() - right[place == k].sum()) for k in range(ECE_BINS)]
    return round(float(sum(gaps) / len(truth)), 4)


def reliability(probability: np.ndarray, truth: np.ndarray) -> list[list[float]]:
    """For each of the 15 bins that holds faces: mean largest probability, accuracy, number of faces."""
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == truth
    place = np.minimum((sure * ECE_BINS).astype(int), ECE_BINS - 1)
    return [
        [
            round(float(sure[place == k].mean()), 4),
            round(float(right[place == k].mean()), 4),
            int((place == k).sum()),
        ]
        for k in np.unique(place)
    ]
