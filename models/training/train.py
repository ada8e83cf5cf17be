#!/usr/bin/env python3
"""Trains the forests of the propensity model on rows written by `millstream-training rows`.

    python train.py FOLDER

Reads the columns described in src/rows.rs and writes, for each question, `<question>.model.json` (XGBoost's own format)
and `<question>.p.f32` (its probabilities of all rows, by which our own scorer is checked), and `library.json`.
Only rows of part 0 are trained on. One thread and fixed seeds: the same rows give the same model.
"""

import json
import sys
from pathlib import Path

import numpy
import xgboost

TRAIN = 0
COMMON = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 4,
    "eta": 0.2,
    "min_child_weight": 40,
    "lambda": 2.0,
    "subsample": 0.8,
    "seed": 1,
    "nthread": 1,
}
ROUNDS = {"session": 60, "within_7_days": 40}


def train(folder: Path, question: str, features: numpy.ndarray, names: list, part: numpy.ndarray) -> None:
    """Trains one forest and writes it with its probabilities."""
    label = numpy.fromfile(folder / f"{question}.i8", dtype=numpy.int8)
    use = (part == TRAIN) & (label >= 0)
    matrix = xgboost.DMatrix(features[use], label=label[use], feature_names=names)
    booster = xgboost.train(COMMON, matrix, num_boost_round=ROUNDS[question])
    booster.save_model(folder / f"{question}.model.json")
    every = xgboost.DMatrix(features, feature_names=names)
    booster.predict(every).astype("<f4").tofile(folder / f"{question}.p.f32")
    print(f"{question}: {use.sum()} rows, {label[use].mean():.4f} positive, {ROUNDS[question]} trees")


def main(folder: Path) -> None:
    description = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    names = description["features"]
    features = numpy.fromfile(folder / "features.f32", dtype="<f4").reshape(-1, len(names))
    part = numpy.fromfile(folder / "part.u8", dtype=numpy.uint8)
    for question in ROUNDS:
        train(folder, question, features, names, part)
    library = {"library": f"xgboost {xgboost.__version__}", "parameters": {**COMMON, "rounds": ROUNDS}}
    (folder / "library.json").write_text(json.dumps(library), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
