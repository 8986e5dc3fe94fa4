"""The standard table: hashers and baselines at several lengths on one data set, both directions."""

import difflib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from xmodal.errors import UsageError, XmodalError
from xmodal.evaluate.baselines import classifier_signs
from xmodal.evaluate.datasets.dataset import Dataset
from xmodal.evaluate.measure import Measure
from xmodal.evaluate.protocol import Evaluation, Models, evaluate_models
from xmodal.evaluate.scorers import Direction, Floats, Model, centred_cosine, code_model
from xmodal.evaluate.splits import Split
from xmodal.hamming.packing import MAX_BITS, MIN_BITS
from xmodal.hashing.registry import create_hasher, hasher_class, list_hashers

Ranking = Literal["hamming", "asymmetric"]
RANKINGS: tuple[Ranking, Ranking] = ("hamming", "asymmetric")
BITS = (16, 32, 64, 128)
MEASURES = ("map", "own_recall@10")
FLOAT, CLASSIFIER = "float, centred", "classifier signs"


@dataclass(frozen=True)
class Row:
    """One hasher at one length, ranked one way.

    ``evaluation`` is None where there is none, and ``note`` says why. ``bits`` is None for float
    features; ``fit_seconds`` is the mean over the splits.
    """

    hasher: str
    bits: int | None
    ranking: str
    fit_seconds: float | None = None
    evaluation: Evaluation | None = None
    note: str = ""

    @property
    def measures(self) -> dict[str, dict[Direction, Measure]]:
        """Each measure by its name and direction; empty where there is no evaluation."""
        return self.evaluation.measures if self.evaluation else {}

    def record(self) -> dict[str, Any]:
        """The row as JSON has it: for each measure and direction its mean and half-width."""
        return {
            "hasher": self.hasher,
            "bits": self.bits,
            "ranking": self.ranking,
            "fit_seconds": self.fit_seconds and round(self.fit_seconds, 3),
            "measures": {
                name: {
                    direction: {"mean": _number(m.mean), "half_width": _number(m.half_width)}
                    for direction, m in directions.items()
                }
                for name, directions in self.measures.items()
            },
            "note": self.note,
        }


def table_rows(
    data: Dataset,
    hashers: Sequence[str] | None = None,
    bits: Sequence[int] = BITS,
    *,
    splits: int | Sequence[Split] = 5,
    seed: int = 0,
    rankings: Sequence[Ranking] = ("hamming",),
    measures: Sequence[str] = MEASURES,
    held_out: Sequence[int] = (),
) -> Iterator[Row]:
    """The rows one by one, each as soon as it is measured: the baselines, then the hashers.

    The baselines are the float features and ``lsh`` where both modalities may share a space, and
    random projections of classifier scores. Every row is measured on the same splits, so that two
    of them can be compared query by query. A hasher whose needs the data do not meet, or that
    fails, is a row that says so.

    Parameters
    ----------
    hashers: names, with parameters where they differ from the defaults: ``lemon:features=rbf``.
        None is all of :func:`xmodal.hashing.list_hashers`.
    splits: how many random ones, or the splits themselves, ``[data.split]`` for the published one.
    rankings: by ``hamming`` distance, as published tables rank, or ``asymmetric``, by the query's
        real weights; both share one fit.
    measures: of :data:`xmodal.evaluate.named.MEASURES`.
    held_out: label columns that nothing is learned of and that alone make queries and relevance.
    """
    specs = [parse_hasher(text) for text in hashers or [info.name for info in list_hashers()]]
    options: dict[str, Any] = {
        "splits": splits,
        "seed": seed,
        "measures": measures,
        "held_out": held_out,
    }
    if data.shares_space:
        yield from _rows(data, FLOAT, None, _float_models, ("cosine",), options)
    specs = [("lsh", {}), (CLASSIFIER, {}), *(spec for spec in specs if spec != ("lsh", {}))]
    for name, parameters in specs:
        title = ":".join([name, *(f"{key}={value}" for key, value in parameters.items())])
        unmet = None if name == CLASSIFIER else unmet_need(name, data)
        if unmet:
            yield Row(title, None, "", note=unmet)
            continue
        for length in bits:
            models = _models(name, length, parameters, seed, rankings)
            yield from _rows(data, title, length, models, rankings, options)


def parse_hasher(text: str) -> tuple[str, dict[str, Any]]:
    """A hasher's name and parameters.

    >>> parse_hasher("lemon:features=rbf:anchors=300")
    ('lemon', {'features': 'rbf', 'anchors': 300})
    """
    name, *pairs = text.strip().split(":")
    hasher_class(name)
    parameters = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{text}: expected NAME:PARAMETER=VALUE, found {pair!r}")
        try:
            parameters[key] = json.loads(value)
        except ValueError:  # a word
            parameters[key] = value
    return name, parameters


def parse_bits(texts: Sequence[str]) -> list[int]:
    """Lengths of codes; UsageError unless each is a whole number that a code may have."""
    for text in texts:
        if not text.isdecimal() or int(text) % 8 or not MIN_BITS <= int(text) <= MAX_BITS:
            raise UsageError(
                f"bits: expected multiples of 8 from {MIN_BITS} to {MAX_BITS}, found {text!r}"
            )
    return [int(text) for text in texts]


def class_columns(data: Dataset, names: Sequence[str]) -> list[int]:
    """Label columns by the names of their classes, or by number from 0 where the set has none."""
    known = data.classes or [str(column) for column in range(data.labels.shape[1])]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"held-out: {data.name} has no class {name!r}: {hint}it has {', '.join(known)}"
            )
    return [known.index(name) for name in names]


def chosen_splits(data: Dataset, splits: int, published: bool) -> int | list[Split]:
    """That many random splits, or the published one; UsageError if the set comes without."""
    if not published:
        return splits
    if data.split is None:
        raise UsageError(f"{data.name}: these files come without a split ({data.source})")
    return [data.split]


def chosen_rankings(name: str) -> tuple[Ranking, ...]:
    """``hamming``, ``asymmetric`` or ``both``."""
    rankings: dict[str, tuple[Ranking, ...]] = {"both": RANKINGS, **{r: (r,) for r in RANKINGS}}
    if name not in rankings:
        raise UsageError(f"ranking: expected {', '.join(RANKINGS)} or both, found {name!r}")
    return rankings[name]


def unmet_need(name: str, data: Dataset) -> str | None:
    """What a hasher needs and the data have not, in a few words; None if it can be fitted."""
    cls = hasher_class(name)
    if cls.needs_shared_space and not data.shares_space:
        return (
            f"needs one feature space; images have {data.images.shape[1]} dimensions, texts "
            f"{data.texts.shape[1]}"
        )
    if cls.needs_labels and np.isnan(data.labels).all():
        return "needs labels; no row has any"
    return None


def _rows(
    data: Dataset,
    title: str,
    bits: int | None,
    models: Models,
    rankings: Sequence[str],
    options: dict[str, Any],
) -> Iterator[Row]:
    seconds: list[float] = []

    def timed(x: Floats, y: Floats, labels: Floats) -> dict[str, Model]:
        started = time.perf_counter()
        found = models(x, y, labels)
        seconds.append(time.perf_counter() - started)
        return found

    try:
        found = evaluate_models(
            timed, data.images, data.texts, data.labels, text_of=data.text_of, **options
        )
    except UsageError:  # the data or the options, not the hasher
        raise
    except Exception as error:  # a table of many hashers outlives one that fails, and says why
        known = isinstance(error, XmodalError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        for ranking in rankings:
            yield Row(title, bits, ranking, note=reason)
        return
    for ranking in rankings:
        yield Row(title, bits, ranking, float(np.mean(seconds)), found[ranking])


def _models(
    name: str, bits: int, parameters: dict[str, Any], seed: int, rankings: Sequence[str]
) -> Models:
    def models(x: Floats, y: Floats, labels: Floats) -> dict[str, Model]:
        if name == CLASSIFIER:
            return {
                ranking: classifier_signs(
                    x, y, labels, bits=bits, seed=seed, asymmetric=ranking == "asymmetric"
                )
                for ranking in rankings
            }
        hasher = create_hasher(name, bits=bits, **{"seed": seed, **parameters}).fit(x, y, labels)
        return {
            ranking: code_model(hasher, asymmetric=ranking == "asymmetric") for ranking in rankings
        }

    return models


def _float_models(x: Floats, y: Floats, labels: Floats) -> dict[str, Model]:
    return {"cosine": centred_cosine(x, y)}


def _number(value: float) -> float | None:
    """Rounded for print; None for NaN, which JSON has not."""
    return None if np.isnan(value) else round(value, 4)
