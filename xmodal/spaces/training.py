"""``train``: a supervised code from the keywords people wrote, kept only if it answers better."""

import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.encoders.base import Features, normalise
from xmodal.errors import UsageError
from xmodal.evaluate import Evaluation, evaluate_hasher
from xmodal.hamming.packing import MAX_BITS
from xmodal.hashing import Hasher, create_hasher
from xmodal.hashing.fused import Fused
from xmodal.results import Quality, TrainReport
from xmodal.spaces.code import active_code, replace_code, sample_features
from xmodal.store.database import Database
from xmodal.store.features import read_features
from xmodal.store.models import Caption, Feature, File, ItemKeyword, Keyword

# With fewer pictures of a keyword a third of them, held out, says nothing about it.
MIN_PICTURES = 5
MIN_KEYWORDS = 2
# Half of them must be more than the eight bits of the shortest semantic code.
MIN_LABELLED = 30
# The most frequent ones; rarer ones add columns faster than they add knowledge.
MAX_KEYWORDS = 1_000
MIN_BITS = 16
SPLITS = 3


@dataclass(frozen=True)
class TrainingSet:
    """Row i of each array is picture i.

    ``images`` float32 ``(n, dim)``; ``texts`` float32 ``(n, dim)``, the mean of its captions' (else
    its keywords') features, NaN without any; ``labels`` float32 ``(n, c)`` 0/1, a row of NaN where
    a picture has none of the ``keywords``.
    """

    images: Features
    texts: Features
    labels: NDArray[np.float32]
    keywords: list[str]


def train(
    database: Database, encoder_id: int, background: Background, *, bits: int, seed: int
) -> TrainReport:
    """Learn a ``fused`` code of ``bits`` bits and put it in use if it is better.

    Half of the bits are semantic (``lemon``, from the pictures with keywords), or fewer where only
    few pictures have keywords; the others tell single pictures apart (``itq``, from all pictures
    and texts). Both this code and a plain ``itq`` of the
    same length are fitted on a half of the pictures and measured on the rest: label mAP, both
    directions, by asymmetric ranking. The better one of the two is then fitted on everything.
    The caller holds ``database.writer()``.

    Raises UsageError, with what was found and what is needed, when keywords are too few.
    """
    started = time.monotonic()
    if bits % 16 or not MIN_BITS <= bits <= MAX_BITS:
        raise UsageError(
            f"bits: expected a multiple of 16 from {MIN_BITS} to {MAX_BITS}, half of them for each "
            f"part of the code; found {bits}"
        )
    with database.session() as session:
        active = active_code(session, encoder_id)
        data = training_set(session, encoder_id)
        all_texts = sample_features(session, encoder_id, "text")
    labelled = ~np.isnan(data.labels[:, 0]) & ~np.isnan(data.texts[:, 0])
    semantic_bits = _semantic_bits(bits, int(labelled.sum()))

    def instance_code(bits: int, images: Features, texts: Features) -> Hasher:
        return create_hasher("itq", bits=bits, seed=seed).fit(
            np.concatenate([background.picture_features, images]),
            np.concatenate([background.word_features, texts]),
        )

    def fused_code(
        images: Features, texts: Features, labels: NDArray[np.float32], spoken: Features
    ) -> Hasher:
        known = ~np.isnan(labels[:, 0]) & ~np.isnan(texts[:, 0])
        semantic = create_hasher("lemon", bits=semantic_bits, seed=seed)
        semantic.fit(images[known], texts[known], labels[known])
        instance = instance_code(bits - semantic_bits, images, spoken)
        return Fused.join(semantic, instance, images, spoken)

    def fit_plain(images: Features, texts: Features, labels: NDArray[np.float32]) -> Hasher:
        return instance_code(bits, images, texts[~np.isnan(texts[:, 0])])

    def fit_fused(images: Features, texts: Features, labels: NDArray[np.float32]) -> Hasher:
        return fused_code(images, texts, labels, texts[~np.isnan(texts[:, 0])])

    before, after = (
        _quality(
            evaluate_hasher(fit, data.images, data.texts, data.labels, splits=SPLITS, seed=seed)
        )
        for fit in (fit_plain, fit_fused)
    )
    better = after.text_to_image + after.image_to_text > before.text_to_image + before.image_to_text
    if better:
        code = fused_code(data.images, data.texts, data.labels, all_texts)
        replace_code(
            database,
            encoder_id,
            code,
            "fused",
            trained_on={"pictures": int(labelled.sum()), "keywords": data.keywords},
            quality={"before": asdict(before), "after": asdict(after)},
        )
    return TrainReport(
        hasher="fused" if better else (active.name if active else "itq"),
        bits=bits,
        pictures=int(labelled.sum()),
        keywords=data.keywords,
        before=before,
        after=after,
        replaced=better,
        seconds=round(time.monotonic() - started, 3),
    )


def _semantic_bits(bits: int, labelled: int) -> int:
    """Half of the bits, in whole bytes; fewer where a half of the rows is less than twice as many.

    A code longer than half the rows it is learned from tells rows apart, not what they share.
    """
    return max(8, min(bits // 2, labelled // 4) // 8 * 8)


def training_set(session: Session, encoder_id: int) -> TrainingSet:
    """Features, texts and labels of the present pictures; UsageError when keywords are too few."""
    items = _present_items(session, encoder_id)
    row_of = {item: row for row, item in enumerate(items.tolist())}
    pairs = [
        (row_of[item], keyword)
        for item, keyword in session.execute(
            select(ItemKeyword.item_id, ItemKeyword.keyword_id).distinct()
        )
        if item in row_of
    ]
    names: dict[int, str] = dict(session.execute(select(Keyword.id, Keyword.name)).all())
    keywords = _usable_keywords(pairs, len(items), names)
    column_of = {keyword: column for column, keyword in enumerate(keywords)}
    labels = np.zeros((len(items), len(keywords)), np.float32)
    for row, keyword in pairs:
        if keyword in column_of:
            labels[row, column_of[keyword]] = 1
    labels[~labels.any(axis=1)] = np.nan
    images = read_features(session, encoder_id, items)
    texts = _texts(session, encoder_id, row_of)
    return TrainingSet(images, texts, labels, [names[keyword] for keyword in keywords])


def _present_items(session: Session, encoder_id: int) -> NDArray[np.int64]:
    found = session.scalars(
        select(Feature.item_id)
        .where(Feature.encoder_id == encoder_id)
        .where(Feature.item_id.in_(select(File.item_id).where(File.state == "present")))
        .order_by(Feature.item_id)
    )
    return np.array(found.all(), dtype=np.int64)


def _usable_keywords(
    pairs: list[tuple[int, int]], pictures: int, names: dict[int, str]
) -> list[int]:
    """Keywords that enough pictures have, and not all; the most frequent first."""
    counts: dict[int, int] = {}
    for _, keyword in pairs:
        counts[keyword] = counts.get(keyword, 0) + 1
    usable = [k for k, count in counts.items() if MIN_PICTURES <= count < pictures]
    usable.sort(key=lambda k: (-counts[k], names[k]))
    chosen = set(usable[:MAX_KEYWORDS])
    labelled = len({row for row, keyword in pairs if keyword in chosen})
    if len(usable) < MIN_KEYWORDS or labelled < MIN_LABELLED:
        raise UsageError(
            f"too few keywords to learn from: found {len(counts)} on "
            f"{len({row for row, _ in pairs})} of {pictures} pictures, {len(usable)} of them on at "
            f"least {MIN_PICTURES} pictures but not on all (together {labelled} pictures); needed "
            f"are {MIN_KEYWORDS} such keywords and {MIN_LABELLED} pictures that have one. Add "
            "keywords with `xmodal index FOLDER --captions FILE.csv`"
        )
    return usable[:MAX_KEYWORDS]


def _texts(session: Session, encoder_id: int, row_of: dict[int, int]) -> Features:
    """What is said of each picture: the mean of its captions' features, else its keywords'."""
    captions = session.execute(select(Caption.item_id, Caption.text_item_id)).all()
    keywords = session.execute(
        select(ItemKeyword.item_id, Keyword.text_item_id).join(
            Keyword, Keyword.id == ItemKeyword.keyword_id
        )
    ).all()
    described = {item for item, _ in captions}
    said = [pair for pair in captions if pair[0] in row_of]
    said += [pair for pair in keywords if pair[0] in row_of and pair[0] not in described]
    words = np.unique(np.array([text for _, text in said], dtype=np.int64))
    features = read_features(session, encoder_id, words)
    texts = np.zeros((len(row_of), features.shape[1]), np.float32)
    if said:
        rows = np.array([row_of[item] for item, _ in said])
        places = np.searchsorted(words, [text for _, text in said])
        known = ~np.isnan(features[places, 0])
        np.add.at(texts, rows[known], features[places[known]])
    texts = normalise(texts)
    texts[~texts.any(axis=1)] = np.nan
    return texts


def _quality(evaluation: Evaluation) -> Quality:
    forward = evaluation.label_map["text_to_image"]
    backward = evaluation.label_map["image_to_text"]
    return Quality(
        text_to_image=round(forward.mean, 4),
        image_to_text=round(backward.mean, 4),
        half_width=round(max(forward.half_width, backward.half_width), 4),
    )
