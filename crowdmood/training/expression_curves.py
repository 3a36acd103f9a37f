"""The curves of a training: a CSV file always, and TensorBoard's files where it is installed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crowdmood.files import write_aside

FILE, BOARD = "curves.csv", "tensorboard"
# name in the history: (name in the CSV file, name in TensorBoard)
COLUMNS = {
    "epoch": ("epoch", None),
    "seconds": ("seconds", None),
    "rate": ("learning_rate", "learning_rate"),
    "learned": ("train_loss", "loss/train"),
    "loss": ("val_loss", "loss/val"),
    "majority": ("val_accuracy", "val/accuracy"),
    "clear": ("val_accuracy_clear", "val/accuracy_clear"),
    "label": ("val_accuracy_label", "val/accuracy_label"),
    "macro_f1": ("val_macro_f1", "val/macro_f1"),
}
Draw = Callable[[list[dict]], None]


@contextmanager
def curves(folder: Path | None, before: list[dict]) -> Iterator[Draw]:
    """Yield what is to be called with the whole history after each epoch; folder: None for no curves.

    before: the history of a training that goes on.
    """
    if folder is None:
        yield lambda history: None
        return
    with _board(folder, before) as add:

        def draw(history: list[dict]) -> None:
            write_csv(folder / FILE, history)
            add(history[-1])

        yield draw


def write_csv(path: Path, history: list[dict]) -> None:
    """One row for each epoch; empty where an older checkpoint did not measure something."""
    with write_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([name for name, _ in COLUMNS.values()])
        rows.writerows([line.get(key, "") for key in COLUMNS] for line in history)


@contextmanager
def _board(folder: Path, before: list[dict]) -> Iterator[Callable[[dict], None]]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda line: None
        return
    # What a killed training wrote after its last checkpoint comes again.
    begun = before[-1]["epoch"] + 1 if before else None
    with SummaryWriter(folder / BOARD, purge_step=begun) as writer:

        def add(line: dict) -> None:
            for key, (_, name) in COLUMNS.items():
                if name is not None:
                    writer.add_scalar(name, line[key], line["epoch"])
            writer.flush()

        yield add
