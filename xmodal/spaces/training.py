"""``train``: a supervised code from what people wrote, put in use only if it answers better."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.errors import UsageError
from xmodal.evaluate import Measure
from xmodal.hamming.packing import MAX_BITS
from xmodal.results import Difference, Quality, TrainReport
from xmodal.spaces.code import ActiveCode, active_code, discard_unfinished, replace_code
from xmodal.spaces.labels import read_picture_labels
from xmodal.spaces.recipe import MIN_SEMANTIC, Recipe, choose_recipe, learn, recipe_of
from xmodal.spaces.rows import EncodeTexts, Rows, announce, present_pictures, read_rows
from xmodal.spaces.trial import Scores, gain, halves, judge
from xmodal.store.database import Database

MIN_BITS = 2 * MIN_SEMANTIC
# Pictures without which even estimated labels teach no code.
MIN_ROWS = 30


@dataclass(frozen=True)
class Decision:
    """The recipe to use from now on, None to leave the code as it is, and the reason in words."""

    recipe: Recipe | None
    reason: str


def train(
    database: Database,
    encoder_id: int,
    background: Background,
    encode: EncodeTexts,
    notify: Callable[[str], None],
    *,
    labels: str,
    bits: int | None,
    seed: int,
    dry_run: bool,
) -> TrainReport:
    """Learn a ``fused`` code and put it in use if it answers better.

    One half of the pictures teaches, the other asks and answers; see :mod:`xmodal.spaces.trial`.
    How to learn is chosen within the first half. The code in use, the one chosen and a plain one
    are then learned from that same half, and compared query by query on the other. The rule:

    * The new one is used if its label mAP and own-caption recall@10, both directions averaged, have
      together gained more than half the width of the 95 % interval of that gain, over the code in
      use and over a plain one: labels that say nothing must not replace what was learned before.
    * Else a trained code is learned again, in its own way, from what the library holds now, if that
      way still beats a plain code by the same rule; otherwise the code stays as it is.
    * Another length than the one in use is the user's wish: then the better one of the new and the
      plain code of that length is used, however it compares with the length in use.

    What is used is learned again from all pictures, and completed before any search sees it.
    ``dry_run`` leaves that out. The caller holds ``database.writer()``.

    Raises UsageError, with what was found and what is needed, when labels are too few.
    """
    started = time.monotonic()
    discard_unfinished(database, encoder_id)
    with database.session() as session:
        active = code_in_use(session, encoder_id)
        found = read_picture_labels(session, labels)
        present = present_pictures(session, encoder_id)
        now = recipe_of(active.hasher, active.trained_on)
        bits = _checked_bits(bits if bits is not None else now.bits)
        missing = found.too_few(present)
        if missing is None and len(present) < MIN_ROWS:
            missing = _too_small(len(present))
        rows = read_rows(session, encoder_id, found, encode)
    # A plain code of another length needs no labels, only captions to be judged by.
    if missing and (bits == now.bits or len(np.unique(rows.caption_of)) < MIN_ROWS):
        raise missing
    announce(rows, notify)
    learned, held = halves(rows, seed)
    part = rows.part(learned)
    now = now.at(now.bits, part)  # these labels may be fewer than it was learned from
    plain = Recipe(bits, seed=seed)
    chosen = (None if missing else choose_recipe(part, background, bits, seed)) or plain
    recipes = list(dict.fromkeys((now, chosen, plain)))
    scores = judge(
        {str(i): learn(r, part, background) for i, r in enumerate(recipes)}, rows, held, seed
    )
    by_recipe = {recipe: scores[str(i)] for i, recipe in enumerate(recipes)}
    decision = decide(now, chosen, plain, by_recipe)
    shown = decision.recipe or chosen
    before, after = quality_of(by_recipe[now]), quality_of(by_recipe[shown])
    if decision.recipe and not dry_run:
        replace_code(
            database,
            encoder_id,
            learn(decision.recipe, rows, background),
            decision.recipe.name,
            trained_on=_trained_on(decision.recipe, rows, found.source, len(present)),
            quality={"before": asdict(before), "after": asdict(after)},
        )
    difference = gain(by_recipe[shown], by_recipe[now])
    replaced = decision.recipe is not None and not dry_run
    return TrainReport(
        hasher=shown.name if replaced else active.name,
        bits=shown.bits if replaced else active.hasher.bits,
        previous=f"{active.name}, {active.hasher.bits} bits",
        labels=found.source,
        pictures=int(rows.labelled.sum()),
        unlabelled=int((~rows.labelled).sum()),
        asked=len(held),
        keywords=rows.names,
        before=before,
        after=after,
        by_label=difference_of(difference.label_map),
        by_caption=difference_of(difference.own_recall),
        replaced=replaced,
        reason=decision.reason,
        recipe=shown.as_json(),
        seconds=round(time.monotonic() - started, 3),
        notes=found.notes,
    )


def decide(now: Recipe, chosen: Recipe, plain: Recipe, scores: dict[Recipe, Scores]) -> Decision:
    """Which recipe to use, by the rule of :func:`train`."""
    better = gain(scores[chosen], scores[now])
    if chosen.bits != now.bits:
        # One of them it will be: no code in use has a claim to stay.
        if chosen != plain and gain(scores[chosen], scores[plain]).mean > 0:
            return Decision(chosen, "this length was asked for")
        return Decision(plain, "this length was asked for, and labels do not help at it")
    if better.clear and (chosen == plain or gain(scores[chosen], scores[plain]).clear):
        return Decision(chosen, "it answers better, beyond chance")
    if now.semantic_bits and gain(scores[now], scores[plain]).clear:
        return Decision(
            now, "no better way to learn was found; learned again from all pictures as before"
        )
    if better.mean > 0:
        return Decision(
            None,
            "what it gains may be chance: more labelled pictures, or captions, would tell",
        )
    return Decision(None, "it answers no better")


def quality_of(scores: Scores) -> Quality:
    """Means and interval of what was judged, rounded to what is worth telling."""
    numbers: list[float | None] = []
    for name in ("map", "own_recall"):
        if name not in scores:
            numbers += [None, None, None]
            continue
        forth, back = scores[name]["text_to_image"], scores[name]["image_to_text"]
        widest = max(forth.half_width, back.half_width)
        numbers += [round(value, 4) for value in (forth.mean, back.mean, widest)]
    return Quality(*numbers)


def difference_of(measure: Measure | None) -> Difference | None:
    if measure is None:
        return None
    return Difference(round(measure.mean, 4), round(measure.half_width, 4))


def code_in_use(session: Session, encoder_id: int) -> ActiveCode:
    """The code that searches use; UsageError in a library without any."""
    active = active_code(session, encoder_id)
    if active is None:
        raise UsageError("nothing is indexed yet; run `xmodal index FOLDER` first")
    return active


def _checked_bits(bits: int) -> int:
    if bits % 8 or not MIN_BITS <= bits <= MAX_BITS:
        raise UsageError(
            f"bits: expected a multiple of 8 from {MIN_BITS} to {MAX_BITS}, found {bits}"
        )
    return bits


def _too_small(pictures: int) -> UsageError:
    return UsageError(
        f"too few pictures to learn from: found {pictures}, needed are {MIN_ROWS}; half of them "
        "are held out to see whether what was learned helps"
    )


def _trained_on(recipe: Recipe, rows: Rows, source: str, pictures: int) -> dict[str, object]:
    """What is kept with a code; ``pictures`` of a plain code say when to fit it again."""
    if not recipe.semantic_bits:
        return {"pictures": pictures, "recipe": recipe.as_json()}
    return {
        "pictures": int(rows.labelled.sum()),
        "labels": source,
        "keywords": rows.names,
        "recipe": recipe.as_json(),
    }
