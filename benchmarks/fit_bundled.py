"""Fits what the bundled encoder ships: ``assets/bundled/space.npz`` and ``background.npz``.

    apt-get install tuxpaint-stamps-default openclipart-png openclipart-svg
    python benchmarks/fit_bundled.py            # fits and writes both files, some minutes
    python benchmarks/fit_bundled.py --check    # only measures, on folders left out of the fit

It is run again when the vocabulary, the concepts, the sample pictures or the preprocessing change.
Training material: 785 captioned pictures of Tux Paint (captions in many languages) and about
1,700 drawings of the Open Clip Art Library. No picture of a benchmark is among them.
"""

import argparse
import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xmodal.encoders.background import (
    background_key,
    compute_background,
    sample_pictures,
    save_background,
    shipped_background,
    vocabulary,
)
from xmodal.encoders.base import normalise
from xmodal.encoders.bundled import BundledEncoder, SentenceEncoder
from xmodal.encoders.conse import ConseSpace
from xmodal.encoders.efficientnet import CLASSES, LITE2, EfficientNet
from xmodal.resources import resource_path

Array = NDArray[np.float32]

STAMPS = Path("/usr/share/tuxpaint/stamps")
CLIPART = Path("/usr/share/openclipart")
BUNDLED = resource_path("assets") / "bundled"

# Chosen on the stamps, five folds by folder (so that a fold's subjects are new to it).
CONCEPT_WEIGHT = 0.4
SHARPNESS = 0.7
RIDGE_WEIGHT = 0.25
RIDGE_PENALTY = 2.0
WHITENING_FLOOR = 1.0
WHITENING_POWER = 0.25

LANGUAGES = ("de", "fr", "ru", "zh_CN")
TOPICS = [
    *("animals", "buildings", "containers", "education", "electronics", "food", "office"),
    *("people", "plants", "recreation", "science", "tools", "transportation"),
]
# Keywords that say how a drawing was made or filed, not what it shows.
NO_SUBJECT = re.compile(
    r"hash|unsorted|icon|theme|clip|symbol|contour|outline|cartoon|\d|externalsource|public|"
    r"getdownloaded|mimetype|svg|png|template|logo|stickm|computer$|sign$|card|smiley|chess",
    re.IGNORECASE,
)
NO_TITLE = re.compile(r"clip ?art|theme|collection|icon|aiga|#", re.IGNORECASE)
MAX_PIXELS = 3_000_000  # one drawing of the library has 623 million


@dataclass(frozen=True)
class Captioned:
    """A picture file, its English caption, and the caption's translations by language."""

    path: Path
    caption: str
    translations: dict[str, str]


def read_stamps() -> list[Captioned]:
    """Tux Paint's stamps: the first line of a picture's .txt is English, the rest translations."""
    found = []
    for text in sorted(STAMPS.rglob("*.txt")):
        picture = text.with_suffix(".png")
        first, *others = text.read_text("utf-8", "replace").splitlines() or [""]
        if first.strip() and picture.exists():
            pairs = (line.partition(".utf8=")[::2] for line in others)
            translations = {language: said.strip() for language, said in pairs if said.strip()}
            found.append(Captioned(picture, first.strip(), translations))
    return found


def read_clipart() -> list[Captioned]:
    """Drawings of everyday subjects; the caption is the title and the keywords of the SVG."""
    found, seen = [], Counter[tuple[str, ...]]()
    for topic in TOPICS:
        for picture in sorted((CLIPART / "png" / topic).rglob("*.png")):
            source = CLIPART / "svg" / picture.relative_to(CLIPART / "png").with_suffix(".svg")
            if not source.exists() or not _is_small(picture):
                continue
            title, keywords = _described(source.read_text("utf-8", "replace"))
            key = tuple(sorted(keywords))
            seen[key] += 1
            # Series of one drawer repeat their keywords by the hundred.
            if len(keywords) + bool(title) >= 2 and keywords and seen[key] <= 12:
                caption = ", ".join(dict.fromkeys([title, *keywords] if title else keywords))
                found.append(Captioned(picture, caption, {}))
    return found


def _is_small(picture: Path) -> bool:
    with picture.open("rb") as file:
        width, height = struct.unpack(">II", file.read(24)[16:24])
    return (
        width * height <= MAX_PIXELS
        and min(width, height) >= 48
        and picture.stat().st_size <= 300_000
    )


def _described(svg: str) -> tuple[str, list[str]]:
    metadata = svg[svg.find("<metadata") : svg.find("</metadata>")]
    titles = re.findall(r"<dc:title[^>]*>([^<]*)</dc:title>", metadata)
    title = re.sub(r"[_\-]+", " ", re.sub(r"\d+", "", titles[0] if titles else "")).strip().lower()
    keywords = [
        keyword.strip().replace("_", " ").lower()
        for keyword in re.findall(r"<rdf:li[^>]*>([^<]*)</rdf:li>", metadata)
        if not NO_SUBJECT.search(keyword)
    ]
    kept = [keyword for keyword in dict.fromkeys(keywords) if 2 < len(keyword) < 25][:8]
    return ("" if NO_TITLE.search(title) else title), kept


def open_on_white(path: Path) -> Image.Image:
    """A picture as RGB; what is transparent becomes white, as on a page."""
    with Image.open(path) as image:
        if image.mode in ("RGBA", "LA", "P", "PA"):
            layer = image.convert("RGBA")
            page = Image.new("RGBA", layer.size, "white")
            page.alpha_composite(layer)
            return page.convert("RGB")
        return image.convert("RGB")


def look(network: EfficientNet, pictures: list[Captioned]) -> tuple[Array, Array]:
    """Logits and pooled features of the pictures, opened a few at a time."""
    parts = [
        network([open_on_white(each.path) for each in pictures[start : start + 64]])
        for start in range(0, len(pictures), 64)
    ]
    return np.concatenate([logits for logits, _ in parts]), np.concatenate([p for _, p in parts])


def read_concepts(path: Path) -> tuple[list[str], Array]:
    """The words of ``concepts.txt`` and a table ``(classes, words)`` of what they cover."""
    lines = path.read_text("utf-8").splitlines()
    rows = [line.rsplit(":", 1) for line in lines if line and not line.startswith("#")]
    table = np.zeros((CLASSES, len(rows)), np.float32)
    for column, (_, covered) in enumerate(rows):
        for span in covered.split():
            first, _, last = span.partition("-")
            table[int(first) : int(last or first) + 1, column] = 1
    return [words for words, _ in rows], table


def class_names() -> list[str]:
    """ImageNet's class names with all their synonyms, as timm lists them."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet1k")
    return [info.index_to_description(number) for number in range(CLASSES)]


def whitening(sentences: Array, translations: Array) -> Array:
    """A map that makes less of the directions in which a sentence and its translation differ.

    Within-class covariance normalisation (Hatch et al. 2006) with a caption and its translations
    as a class, a floor under the spectrum, and a gentler power than their 1/2.
    """
    difference = (translations - sentences).astype(np.float64)
    spectrum, vectors = np.linalg.eigh(difference.T @ difference / (2 * len(difference)))
    scale = (spectrum + WHITENING_FLOOR * spectrum.mean()) ** -WHITENING_POWER
    return (vectors * (scale / scale.mean())).astype(np.float32)


def ridge(pooled: Array, features: Array) -> tuple[Array, Array]:
    """Mean of ``pooled`` and the linear map from the rest to ``features``, in the dual form."""
    mean = pooled.mean(axis=0)
    x = (pooled - mean).astype(np.float64)
    gram = x @ x.T
    gram += RIDGE_PENALTY * np.trace(gram) / len(gram) * np.eye(len(gram))
    solved = np.linalg.solve(gram, features - features.mean(axis=0))
    return mean, (x.T @ solved).astype(np.float32)


class Material:
    """Everything that is fitted on, encoded once."""

    def __init__(self) -> None:
        self.stamps, clipart = read_stamps(), read_clipart()
        encode = SentenceEncoder()
        names = class_names()
        concepts, self.table = read_concepts(BUNDLED / "concepts.txt")
        self.names = encode(names)
        self.first_names = encode([name.split(",")[0] for name in names])
        self.concepts = encode(concepts)
        self.words = encode(vocabulary())
        self.captions = encode([stamp.caption for stamp in self.stamps])
        # Where there is no translation, the caption itself: it differs by nothing.
        self.translations = {
            language: encode(
                [stamp.translations.get(language, stamp.caption) for stamp in self.stamps]
            )
            for language in LANGUAGES
        }
        self.clipart_captions = encode([drawing.caption for drawing in clipart])
        network = EfficientNet(LITE2)
        self.logits, self.pooled = look(network, self.stamps)
        _, self.clipart_pooled = look(network, clipart)

    def fit(self, train: NDArray[np.bool_]) -> ConseSpace:
        """The space fitted on the stamps that ``train`` marks and on all clip art."""
        text_mean = np.concatenate([self.names, self.first_names, self.concepts, self.words]).mean(
            axis=0
        )
        captions = self.captions[train]
        text_map = whitening(
            np.concatenate([captions] * len(LANGUAGES)),
            np.concatenate([translated[train] for translated in self.translations.values()]),
        )

        def mapped(sentences: Array) -> Array:
            return normalise((sentences - text_mean) @ text_map)

        # A concept of few classes says more about each of them.
        rarity = np.log(CLASSES / self.table.sum(axis=0))
        shared = normalise((self.table * rarity) @ mapped(self.concepts))
        called = mapped((self.names + self.first_names) / 2)
        pooled = normalise(np.concatenate([self.pooled[train], self.clipart_pooled]))
        pooled_mean, linear = ridge(
            pooled, mapped(np.concatenate([captions, self.clipart_captions]))
        )
        space = ConseSpace(
            classes=normalise(called + CONCEPT_WEIGHT * shared),
            ridge=linear,
            text_mean=text_mean,
            text_map=text_map,
            pooled_mean=pooled_mean,
            image_mean=np.zeros(text_map.shape[1], np.float32),
            sharpness=SHARPNESS,
            ridge_weight=RIDGE_WEIGHT,
        )
        return space.centred_on(self.logits[train], self.pooled[train])


def check(material: Material, folds: int = 5) -> None:
    """Print recall@10 on stamps of folders that were left out of the fit, by language."""
    folders = sorted({stamp.path.parent for stamp in material.stamps})
    chosen = np.random.default_rng(0).integers(0, folds, len(folders))
    fold_of = dict(zip(folders, chosen, strict=True))
    fold = np.array([fold_of[stamp.path.parent] for stamp in material.stamps])
    totals: dict[str, list[tuple[float, float]]] = {}
    for number in range(folds):
        space, left = material.fit(fold != number), fold == number
        images = space.images(material.logits[left], material.pooled[left])
        for language, sentences in {"en": material.captions, **material.translations}.items():
            scores = space.texts(sentences[left]) @ images.T
            own = np.diag(scores)
            found = [np.mean((scores > own[:, None]).sum(1) < 10)]
            found.append(np.mean((scores > own[None]).sum(0) < 10))
            totals.setdefault(language, []).append((float(found[0]), float(found[1])))
    for language, pairs in totals.items():
        forth, back = np.mean(pairs, axis=0)
        print(f"{language:6} text→image R@10 {forth:.3f}, image→text R@10 {back:.3f}")


def main() -> None:
    """Parse the command line and do as it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="measure only, write nothing")
    arguments = parser.parse_args()
    material = Material()
    if arguments.check:
        check(material)
        return
    material.fit(np.ones(len(material.stamps), bool)).save(BUNDLED / "space.npz")
    encoder = BundledEncoder()
    words, pictures = vocabulary(), sample_pictures()
    key = background_key(encoder.id, words, pictures)
    save_background(compute_background(encoder, words, pictures), key, shipped_background())
    print(encoder.id)


if __name__ == "__main__":
    main()
