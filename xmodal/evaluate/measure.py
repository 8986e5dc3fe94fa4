"""A measure over the queries of a trial: its mean, what the mean is worth, and every value."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.metrics import mean_of

# Half-width of a 95 % interval in standard errors.
STANDARD_ERRORS = 1.96


@dataclass(frozen=True)
class Measure:
    """A measure over queries; ``values`` is ``(splits, queries)``, NaN where it is not defined.

    The interval says where the mean of other queries and other splits of the same kind of data
    would lie. It has two sources: one split's queries are a sample (their variance over their
    number), and another split asks and trains with other rows (the variance of the splits' means
    over the number of splits). Repeating splits shrinks the second only, since the rows to draw
    queries from stay the same; as their queries overlap only in part, the interval is a cautious
    one. A single split knows nothing of the second source.
    """

    values: NDArray[np.float64]

    @property
    def mean(self) -> float:
        return mean_of(self.values.ravel())

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval, across queries and splits; NaN for a single value."""
        splits = [row[~np.isnan(row)] for row in self.values]
        splits = [row for row in splits if len(row) > 1]
        if not splits:
            return float("nan")
        queries = np.mean([len(row) for row in splits])
        variance = np.mean([row.var(ddof=1) for row in splits]) / queries
        if len(splits) > 1:
            variance += np.var([row.mean() for row in splits], ddof=1) / len(splits)
        return float(STANDARD_ERRORS * np.sqrt(variance))

    def minus(self, other: "Measure") -> "Measure":
        """The paired difference, query by query, to another hasher on the same splits."""
        if self.values.shape != other.values.shape:
            raise UsageError(
                f"measures of different trials: {self.values.shape} and {other.values.shape} values"
            )
        return Measure(self.values - other.values)

    def __str__(self) -> str:
        if np.isnan(self.mean):
            return "–"
        return f"{self.mean:.3f} ± {self.half_width:.3f}"
