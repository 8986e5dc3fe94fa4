"""``quantised``: any hasher's projection, with a quantiser of its own instead of plain signs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.base import Hasher, Modality
from xmodal.hashing.checks import Floats, Reals, check_bits
from xmodal.hashing.registry import create_hasher, hasher_class
from xmodal.hashing.rotation import Doubles
from xmodal.quantising import Quantiser, create_quantiser
from xmodal.quantising.base import SAMPLE, project, weigh

DEFAULT = "pcah"


class _OfProjection:
    """A class attribute that is the projection's; of the class itself, the default projection's."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, hasher: "Quantised | None", owner: type) -> Any:
        return getattr(hasher_class(DEFAULT if hasher is None else hasher.projection), self.name)


class Quantised(Hasher):
    """The two steps of hashing apart: a projection, then a quantiser fitted on its real values.

    The projection is a hasher of as many bits as the quantiser wants dimensions. The quantiser
    learns from the projected rows of both modalities, as many of one as of the other.

    A query weighs the bits of an item by how far each moves the item's reconstruction towards the
    query: w_j = q · (step of bit j), so that Σ_j w_j b_j ranks as q · v̂. For a thermometer code
    the step of a bit is half the distance between the means of the two regions that it parts, in
    its dimension.

    Parameters
    ----------
    bits: of the code.
    seed: of both steps.
    projection: name of the hasher whose real values are quantised; its columns should come in
        order of their variance, as those of ``pcah`` do.
    quantiser: see :func:`xmodal.quantising.list_quantisers`.
    dims: dimensions of the projection, a multiple of 8; None is what the quantiser wants.
    projection_parameters, quantiser_parameters: further parameters of the two.

    Attributes
    ----------
    quantisation_loss_: share of the variance of the projected values that the code loses, the
        quantiser's ``loss``. Compare it between quantisers at the same ``dims``.
    hamming_loss_: the same where all bits count the same, the quantiser's ``hamming_loss``.
    """

    name = "quantised"
    description = "any projection with any quantiser; by default pcah with variable-bit"
    needs_labels = _OfProjection()
    needs_pairs = _OfProjection()
    needs_shared_space = _OfProjection()
    min_rows = _OfProjection()
    feature_weight = _OfProjection()

    projection_: Hasher
    directions_: Doubles
    thresholds_: Doubles
    mean_: Doubles
    steps_: Doubles
    quantisation_loss_: float
    hamming_loss_: float

    def __init__(
        self,
        bits: int = 128,
        seed: int = 0,
        projection: str = DEFAULT,
        quantiser: str = "variable-bit",
        dims: int | None = None,
        projection_parameters: dict[str, Any] | None = None,
        quantiser_parameters: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(bits, seed)
        self.projection = projection
        self.quantiser = quantiser
        self.dims = dims
        self.projection_parameters = projection_parameters
        self.quantiser_parameters = quantiser_parameters

    def _fit(self, images: NDArray[Any], texts: NDArray[Any], labels: NDArray[Any] | None) -> None:
        quantiser = create_quantiser(
            self.quantiser, self.bits, **{"seed": self.seed, **(self.quantiser_parameters or {})}
        )
        dims = self._dims(quantiser, min(images.shape[1], texts.shape[1]))
        projection = create_hasher(
            self.projection, dims, **{"seed": self.seed, **(self.projection_parameters or {})}
        )
        projection.fit(images, texts, labels)
        values = self._sample(projection, images, texts)
        quantiser.fit(values)
        self.projection_ = projection
        self.image_mean_, self.text_mean_ = projection.image_mean_, projection.text_mean_
        self.directions_, self.thresholds_ = quantiser.directions_, quantiser.thresholds_
        self.mean_, self.steps_ = quantiser.mean_, quantiser.steps_
        self.quantisation_loss_ = quantiser.loss(values)
        self.hamming_loss_ = quantiser.hamming_loss(values)

    def _dims(self, quantiser: Quantiser, columns: int) -> int:
        """Dimensions of the projection: whole bytes, no more than the features have if need be."""
        needed = quantiser.needed_dims(self.bits)
        if self.dims is not None:
            if check_bits(self.dims, "dims") < needed:
                raise HasherError(
                    f"dims: expected at least {needed} for {self.bits} bits of {self.quantiser}, "
                    f"found {self.dims}"
                )
            return self.dims
        available = max(columns // 8 * 8, _whole_bytes(needed))
        return min(_whole_bytes(quantiser.wanted_dims(self.bits)), available)

    def _sample(self, projection: Hasher, images: Reals, texts: Reals) -> Floats:
        """Projected rows to learn from, as many texts as images."""
        rng = np.random.default_rng(self.seed)
        present = [np.flatnonzero(~np.isnan(features[:, 0])) for features in (images, texts)]
        count = min(max(map(len, present)), SAMPLE // 2)
        x, y = (_exactly(count, rows, rng) for rows in present)
        return np.vstack([projection.project_images(images[x]), projection.project_texts(texts[y])])

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        return project(self._values(features, modality), self.directions_, self.thresholds_)

    def _weigh(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        return weigh(self._values(features, modality), self.mean_, self.steps_)

    def _values(self, features: Floats, modality: Modality) -> Floats:
        if modality == "image":
            return self.projection_.project_images(features)
        return self.projection_.project_texts(features)


def _exactly(count: int, rows: NDArray[np.intp], rng: "np.random.Generator") -> NDArray[np.intp]:
    """That many of the rows, in order; where there are fewer, each as often as the others."""
    return np.sort(np.resize(rng.permutation(rows), count))


def _whole_bytes(dims: int) -> int:
    return -(-dims // 8) * 8
