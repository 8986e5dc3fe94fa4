"""How the heads of ``mlp`` are learned; the only hashing module that imports PyTorch.

Codes h of a batch, of both modalities, and one learned proxy p_c for each class c:

* class: mean over positives of 1 − cos(h, p_c), plus mean over negatives of max(0, cos(h, p_c));
* apart: max(0, cos(h_i, h_j)), mean over pairs that share no label;
* contrast: −log(Σ_pos e^{s/τ} / Σ_all e^{s/τ}) of cosines s to all others of the batch, where the
  positives share a label or are the two halves of one row (Khosla et al., NeurIPS 2020);
* signs: mean of (h − sgn h)².

Labels weigh softly: a label y counts y as a positive and 1 − y as a negative, and a pair shares
min(1, y_i·y_j). A row may have several labels: nothing here is a softmax over classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xmodal.evaluate.metrics import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.chunks import RowNumbers, float_rows, slices

# Weights of the losses against that of the classes, and the temperature τ of the contrast.
APART, CONTRAST, SIGNS = 0.8, 1.0, 0.1
TEMPERATURE = 0.3
# Steps of Adam for the heads, with decoupled weight decay, and of plain descent for the proxies.
RATE, DECAY, PROXY_RATE = 1e-3, 1e-2, 0.02
# Share of hidden units left out, and noise added to the standardised features, while training.
DROPOUT, NOISE = 0.3, 0.3
BATCH = 128
# Batches in a round: one pass over the rows, but enough of them to learn from few rows, and no
# more than bound the time for many.
MIN_BATCHES, MAX_BATCHES = 5, 200
# Training stops when the held-out mAP has not risen for so many rounds.
PATIENCE, MAX_ROUNDS = 5, 40
# Rounds where no two held-out rows share a label, so that nothing can be ranked.
UNDECIDED = 5
# Held out to choose the number of rounds: this share of the rows, at most so many.
HELD_OUT, MAX_HELD_OUT = 0.2, 600
# A column whose spread is below this share of the largest is constant up to rounding.
CONSTANT = 1e-6
# Weights that sum to less are none: soft labels may be as small as they like.
NOTHING = 1e-6


class Rows:
    """The rows that training draws from, with what standardises their features."""

    def __init__(self, images: Reals, texts: Reals, labels: Reals, means: tuple[Floats, Floats]):
        self.features = (images, texts)
        self.labels = labels
        self.present = tuple(~np.isnan(features[:, 0]) for features in self.features)
        self.labelled = np.flatnonzero(
            ~np.isnan(labels[:, 0]) & (self.present[0] | self.present[1])
        )
        self.means = means
        self.scales = tuple(
            scale_of(features, mean) for features, mean in zip(self.features, means, strict=True)
        )

    def standardised(self, modality: int, rows: RowNumbers) -> Tensor:
        """Features ``(m, dim)`` of rows that have the modality."""
        centred = float_rows(self.features[modality], rows) - self.means[modality]
        return torch.from_numpy(centred * self.scales[modality])


class Head:
    """h = tanh(x·S + GELU(x·A + a)·C + c) of standardised features; ``weights`` by their names."""

    def __init__(self, dim: int, bits: int, width: int, generator: torch.Generator) -> None:
        def normal(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator) / np.sqrt(rows)

        self.weights = {
            "inner": normal(dim, width),
            "inner_offset": torch.zeros(width),
            "outer": normal(width, bits) / 2,
            "skip": normal(dim, bits) / 2,
            "offset": torch.zeros(bits),
        }
        for weight in self.weights.values():
            weight.requires_grad_()

    def __call__(self, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Codes before the sign, ``(m, bits)`` in (-1, 1); ``noise`` is drawn from in training."""
        w = self.weights
        if noise is not None:
            x = x + NOISE * torch.randn(x.shape, generator=noise)
        hidden = functional.gelu(x @ w["inner"] + w["inner_offset"], approximate="tanh")
        if noise is not None:
            kept = torch.rand(hidden.shape, generator=noise) >= DROPOUT
            hidden = hidden * kept / (1 - DROPOUT)
        return torch.tanh(x @ w["skip"] + hidden @ w["outer"] + w["offset"])


class Learner:
    """Heads and proxies in training on some of the rows."""

    def __init__(self, rows: Rows, chosen: RowNumbers, bits: int, seed: int, width: int) -> None:
        self._rows, self._chosen = rows, chosen
        self._order = np.random.default_rng(seed)
        self._noise = torch.Generator().manual_seed(int(self._order.integers(2**63)))
        self.heads = tuple(
            Head(features.shape[1], bits, width, self._noise) for features in rows.features
        )
        classes = rows.labels.shape[1]
        self._proxies = torch.randn(classes, bits, generator=self._noise).requires_grad_()
        weights = [weight for head in self.heads for weight in head.weights.values()]
        self._optimizers = (
            torch.optim.AdamW(
                [
                    {"params": [w for w in weights if w.ndim == 2], "weight_decay": DECAY},
                    {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0},
                ],
                lr=RATE,
            ),
            torch.optim.SGD([self._proxies], lr=PROXY_RATE),
        )

    def round(self) -> None:
        """One pass over the rows, or a part of it or several, see ``MIN_BATCHES``."""
        size = min(BATCH, len(self._chosen))
        passes = -(-MIN_BATCHES * size // len(self._chosen))
        order = np.concatenate([self._order.permutation(self._chosen) for _ in range(passes)])
        for start in range(0, min(len(order), MAX_BATCHES * size) - size + 1, size):
            self._step(np.sort(order[start : start + size]))

    def codes(self, modality: int, rows: RowNumbers) -> Floats:
        """Codes ±1 float32 ``(m, bits)`` of rows that have the modality."""
        with torch.no_grad():
            reals = self.heads[modality](self._rows.standardised(modality, rows))
        return np.where(reals.numpy() > 0, 1, -1).astype(np.float32)

    def _step(self, batch: RowNumbers) -> None:
        halves = [batch[present[batch]] for present in self._rows.present]
        codes = [
            head(self._rows.standardised(modality, half), self._noise)
            for modality, (head, half) in enumerate(zip(self.heads, halves, strict=True))
        ]
        both = np.concatenate(halves)
        value = loss(
            torch.cat(codes),
            torch.from_numpy(float_rows(self._rows.labels, both)),
            torch.from_numpy(both),
            self._proxies,
        )
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        value.backward()
        for optimizer in self._optimizers:
            optimizer.step()


def learn_heads(
    rows: Rows, *, bits: int, seed: int, width: int, rounds: int | None
) -> list[dict[str, Floats]]:
    """The arrays of the image head and of the text head, float32 by their names in ``MLP``.

    Learns on one thread, so that codes do not depend on how many there are, and draws from
    generators of its own: PyTorch's random state and number of threads are left as they were.
    """
    with _one_thread():
        if rounds is None:
            rounds = choose_rounds(rows, bits, seed, width)
        learner = Learner(rows, rows.labelled, bits, seed, width)
        for _ in range(rounds):
            learner.round()
    return [
        {"scale": scale, **{name: w.detach().numpy() for name, w in head.weights.items()}}
        for head, scale in zip(learner.heads, rows.scales, strict=True)
    ]


def loss(codes: Tensor, labels: Tensor, rows: Tensor, proxies: Tensor) -> Tensor:
    """The losses of a batch, see above.

    Parameters
    ----------
    codes, labels: ``(m, bits)`` before the sign, and ``(m, classes)``, of both modalities.
    rows: ``(m,)``, equal for the two halves of one row.
    proxies: ``(classes, bits)``.
    """
    unit = functional.normalize(codes)
    near = unit @ functional.normalize(proxies).T
    of_class = _mean(1 - near, labels) + _mean(torch.relu(near), 1 - labels)
    cosine = unit @ unit.T
    itself = torch.eye(len(codes), dtype=torch.bool)
    shared = (labels @ labels.T).clamp(max=1)
    shared = torch.where(rows[:, None] == rows, 1.0, shared).masked_fill(itself, 0)
    apart = _mean(torch.relu(cosine), (1 - shared).masked_fill(itself, 0))
    # Exponents are at most 1/τ: nothing overflows, and no maximum need be taken out.
    weight = torch.exp(cosine / TEMPERATURE).masked_fill(itself, 0)
    has = shared.sum(dim=1) > NOTHING
    contrast = weight[has].sum(dim=1).log() - (weight * shared)[has].sum(dim=1).log()
    signs = (codes - codes.detach().sign()).square().mean()
    total: Tensor = (
        of_class + APART * apart + CONTRAST * contrast.sum() / max(1, len(contrast)) + SIGNS * signs
    )
    return total


def choose_rounds(rows: Rows, bits: int, seed: int, width: int) -> int:
    """The number of rounds whose codes rank held-out rows best, both directions averaged.

    Two rows are relevant to one another if they share a label of at least a half.
    """
    paired = rows.labelled[rows.present[0][rows.labelled] & rows.present[1][rows.labelled]]
    count = min(int(HELD_OUT * len(paired)), MAX_HELD_OUT)
    held_out = np.sort(np.random.default_rng(seed).permutation(paired)[:count])
    has = (rows.labels[held_out] >= 0.5).astype(np.float32)
    relevant = has @ has.T > 0
    if count < 2 or not relevant[~np.eye(count, dtype=bool)].any():
        return UNDECIDED
    learner = Learner(rows, np.setdiff1d(rows.labelled, held_out), bits, seed, width)
    # Of equally good rounds the last: where all are perfect, codes still gain certainty.
    best, risen, quality = 0, 0, 0.0
    for number in range(1, MAX_ROUNDS + 1):
        learner.round()
        agreement = learner.codes(0, held_out) @ learner.codes(1, held_out).T
        distance = -agreement.astype(np.int16)  # integers are sorted faster
        found = sum(
            mean_of(average_precision(in_ranked_order(relevant, rank_items(distances))))
            for distances in (distance, distance.T)
        )
        if found > quality:
            risen = number
        if found >= quality:
            best, quality = number, found
        if number - risen >= PATIENCE:
            break
    return best


def scale_of(features: Reals, mean: Floats) -> Floats:
    """What brings each column ``(dim,)`` to unit variance over the rows that are not NaN.

    0 for a column that is constant: it tells nothing, whatever it is for rows to come.
    """
    squares, count = np.zeros(len(mean)), 0
    for chunk in slices(len(features)):
        centred = float_rows(features, chunk).astype(np.float64) - mean
        centred = centred[~np.isnan(centred[:, 0])]
        squares += np.square(centred).sum(axis=0)
        count += len(centred)
    spread = np.sqrt(squares / count)
    varies = spread > CONSTANT * max(float(spread.max()), float(np.abs(mean).max()))
    return np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0).astype(np.float32)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean; 0 where nothing has weight."""
    return (values * weights).sum() / weights.sum().clamp(min=NOTHING)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
