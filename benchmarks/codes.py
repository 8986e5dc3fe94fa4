"""How good codes are beside the float features they came from, both directions, as a table.

    python benchmarks/codes.py FEATURES.npz [--bits 64 128] [--splits 5]

The file holds ``image`` and ``text``, float ``(n, dim)``, row by row of one item, and ``label``,
``(n, classes)``; or each of the three as ``…_train`` and ``…_test``, which are put together and
split anew. An optional ``words`` ``(m, dim)`` joins the texts that unpaired hashers learn from.
Half of the rows train, a sixth ask, the rest is the database, coded by the hash functions.
"""

import argparse
from pathlib import Path

import numpy as np

from xmodal.errors import HasherError
from xmodal.evaluate import Evaluation, evaluate_features, evaluate_hasher
from xmodal.evaluate.protocol import DIRECTIONS, Fit
from xmodal.hashing import create_hasher


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Images, texts, labels and words of a file."""
    with np.load(path, allow_pickle=False) as stored:
        whole = {
            name: stored[name]
            if name in stored
            else np.concatenate([stored[f"{name}_train"], stored[f"{name}_test"]])
            for name in ("image", "text", "label")
        }
        words = stored.get("words")
    return whole["image"], whole["text"], whole["label"].astype(np.float32), words


def fitter(name: str, bits: int, words: np.ndarray | None, parameters: dict[str, object]) -> Fit:
    """What fits a hasher on the training rows, and on the words where rows need no pairs."""

    def fit(images, texts, labels):
        hasher = create_hasher(name, bits=bits, **parameters)
        if words is not None and not hasher.needs_pairs:
            texts = np.concatenate([texts, words])
        return hasher.fit(images, texts, labels)

    return fit


def print_row(name: str, bits: int | str, ranking: str, found: Evaluation) -> None:
    measures = [found.label_map[d] for d in DIRECTIONS] + [found.own_recall[d] for d in DIRECTIONS]
    print(f"| {name} | {bits} | {ranking} | " + " | ".join(str(m) for m in measures) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("features", type=Path)
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--splits", type=int, default=5)
    options = parser.parse_args()
    images, texts, labels, words = read(options.features)
    print("| hasher | bits | ranking | mAP text→image | mAP image→text | R@10 t→i | R@10 i→t |")
    print("|---|---|---|---|---|---|---|")
    shared = images.shape[1] == texts.shape[1]
    if shared:
        found = evaluate_features(images, texts, labels, splits=options.splits)
        print_row("float, centred", "–", "cosine", found)
    trials: list[tuple[str, dict[str, object]]] = [("lemon", {}), ("lemon", {"features": "rbf"})]
    if shared:
        trials += [("itq", {}), ("fused", {})]
    for name, parameters in trials:
        title = " ".join([name, *map(str, parameters.values())])
        for bits in options.bits:
            for asymmetric in (False, True):
                try:
                    found = evaluate_hasher(
                        fitter(name, bits, words, parameters), images, texts, labels,
                        splits=options.splits, asymmetric=asymmetric,
                    )  # fmt: skip
                except HasherError as error:  # too few rows for so many bits
                    print(f"| {title} | {bits} | {error} | | | | |")
                    break
                print_row(title, bits, "asymmetric" if asymmetric else "Hamming", found)


if __name__ == "__main__":
    main()
