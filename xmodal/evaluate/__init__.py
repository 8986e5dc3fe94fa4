"""How good a code is: measures of rankings, and trials that never ask what was learned from."""

from xmodal.evaluate.bits import BitsChoice, choose_bits, weigh_lengths
from xmodal.evaluate.curves import (
    precision_curve,
    precision_recall_by_radius,
    precision_within,
    recall_curve,
    recall_within,
)
from xmodal.evaluate.measure import Measure
from xmodal.evaluate.metrics import (
    average_precision,
    in_ranked_order,
    mean_of,
    ndcg_at,
    own_item_recall,
    precision_at,
    rank_items,
    recall_at,
)
from xmodal.evaluate.protocol import (
    Evaluation,
    evaluate_features,
    evaluate_hasher,
    evaluate_models,
)
from xmodal.evaluate.relevance import graded_relevance
from xmodal.evaluate.splits import Split, split_rows
from xmodal.evaluate.ties import (
    expected_average_precision,
    expected_ndcg_at,
    expected_precision_at,
    expected_recall_at,
)

__all__ = [
    "BitsChoice",
    "Evaluation",
    "Measure",
    "Split",
    "average_precision",
    "choose_bits",
    "evaluate_features",
    "evaluate_hasher",
    "evaluate_models",
    "expected_average_precision",
    "expected_ndcg_at",
    "expected_precision_at",
    "expected_recall_at",
    "graded_relevance",
    "in_ranked_order",
    "mean_of",
    "ndcg_at",
    "own_item_recall",
    "precision_at",
    "precision_curve",
    "precision_recall_by_radius",
    "precision_within",
    "rank_items",
    "recall_at",
    "recall_curve",
    "recall_within",
    "split_rows",
    "weigh_lengths",
]
