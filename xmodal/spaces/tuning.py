"""``tune``: how many bits a library needs, read from codes of several lengths on its pictures."""

import time
from collections.abc import Callable, Mapping

from xmodal.encoders.background import Background
from xmodal.errors import UsageError
from xmodal.evaluate import Measure
from xmodal.evaluate.bits import BitsChoice, both_directions, check_keep, weigh_lengths
from xmodal.results import LengthQuality, LengthStep, TuneReport
from xmodal.spaces.labels import KEYWORDS, read_picture_labels
from xmodal.spaces.recipe import Recipe, choose_recipe, learn, recipe_of
from xmodal.spaces.rows import EncodeTexts, announce, present_pictures, read_rows
from xmodal.spaces.training import MIN_ROWS, code_in_use, difference_of
from xmodal.spaces.trial import halves, judge
from xmodal.store.database import Database

LENGTHS = (32, 64, 128, 256)


def tune(
    database: Database,
    encoder_id: int,
    background: Background,
    encode: EncodeTexts,
    notify: Callable[[str], None],
    *,
    labels: str,
    keep: float,
    seed: int,
) -> TuneReport:
    """Learn a code of each of ``LENGTHS``, and of the length in use, and weigh them.

    They are learned as ``train`` would from one half of the pictures, and judged on the other by
    label mAP and own-caption recall@10; see :func:`~xmodal.evaluate.choose_bits` for the choice.
    Where labels are too few the codes are plain ones, judged by captions alone.

    Raises UsageError when neither labels nor captions suffice.
    """
    started = time.monotonic()
    check_keep(keep)
    with database.session() as session:
        active = code_in_use(session, encoder_id)
        now = recipe_of(active.hasher, active.trained_on)
        found = read_picture_labels(session, labels)
        present = present_pictures(session, encoder_id)
        missing = found.too_few(present)
        rows = read_rows(session, encoder_id, found, encode)
    if len(rows.images) < MIN_ROWS or (missing and rows.captioned.sum() < MIN_ROWS):
        raise UsageError(
            f"nothing to measure codes by: found {len(rows.images)} pictures, "
            f"{int(rows.captioned.sum())} of them with a caption, and {found.summary(present)}; "
            f"needed are captions or {found.kind} on {MIN_ROWS} pictures. Add them with "
            "`xmodal index FOLDER --captions FILE.csv`"
        )
    announce(rows, notify)
    learned, held = halves(rows, seed)
    part = rows.part(learned)
    recipe = now if now.semantic_bits else Recipe(now.bits, seed=seed)
    if not missing and not now.semantic_bits:
        recipe = choose_recipe(part, background, now.bits, seed) or recipe
    lengths = sorted({*LENGTHS, now.bits})
    hashers = {str(bits): learn(recipe.at(bits, part), part, background) for bits in lengths}
    scores = judge(hashers, rows, held, seed)
    quality = {
        name: {bits: both_directions(scores[str(bits)][name]) for bits in lengths}
        for name in scores[str(lengths[0])]
    }
    choice = weigh_lengths(quality, keep)
    source = "" if labels == KEYWORDS else f" --labels {labels}"
    return TuneReport(
        bits=now.bits,
        recommended=choice.bits,
        keep=keep,
        sure=choice.sure,
        pictures=len(held),
        curve=[_length(choice, bits) for bits in lengths],
        steps=[
            LengthStep(
                step.shorter,
                step.longer,
                step.bytes,
                difference_of(step.gain.get("map")),
                difference_of(step.gain.get("own_recall")),
            )
            for step in choice.steps
        ],
        command=None if choice.bits == now.bits else f"xmodal train --bits {choice.bits}{source}",
        seconds=round(time.monotonic() - started, 3),
    )


def _length(choice: BitsChoice, bits: int) -> LengthQuality:
    numbers: list[float | None] = []
    for name in ("map", "own_recall"):
        curve: Mapping[int, Measure] | None = choice.quality.get(name)
        if curve is None:
            numbers += [None, None]
        else:
            numbers += [round(curve[bits].mean, 4), round(curve[bits].half_width, 4)]
    return LengthQuality(bits, *numbers)
