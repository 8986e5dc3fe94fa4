"""How good a code is: measures of rankings, and trials that never ask what was learned from."""

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
    Measure,
    Split,
    evaluate_features,
    evaluate_hasher,
    split_rows,
)

__all__ = [
    "Evaluation",
    "Measure",
    "Split",
    "average_precision",
    "evaluate_features",
    "evaluate_hasher",
    "in_ranked_order",
    "mean_of",
    "ndcg_at",
    "own_item_recall",
    "precision_at",
    "rank_items",
    "recall_at",
    "split_rows",
]
