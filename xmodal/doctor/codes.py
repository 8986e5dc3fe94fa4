"""Codes: the hasher that makes them, the segments that hold them, and who has one."""

import io
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from xmodal.doctor.checks import Damage, some
from xmodal.encoders.background import Background
from xmodal.errors import HasherError
from xmodal.hashing import Hasher, load_hasher
from xmodal.spaces.calibration import read_calibration
from xmodal.spaces.code import (
    CODING_BATCH,
    DEFAULT_BITS,
    active_code,
    discard_unfinished,
    feature_ids,
    first_code,
    live_items,
    renew_code,
)
from xmodal.spaces.space import Space, spaces
from xmodal.store.database import Database
from xmodal.store.features import read_features
from xmodal.store.loading import Head, read_heads, read_ids
from xmodal.store.models import CalibrationRecord, EncoderRecord, Feature, HasherRecord, Item
from xmodal.store.segments import (
    append_codes,
    damaged_segments,
    delete_codes,
    merge_segments,
    remove_segments,
)

Ids = NDArray[np.int64]
LoadBackground = Callable[[Space], Background]
MODALITIES = {"image": "picture", "text": "text"}


def hasher_records(session: Session) -> Iterator[Damage]:
    """One active hasher for a space, none that is unfinished, and records that agree with it."""
    for space in spaces(session):
        unfinished = _count_hashers(session, space, "building")
        if unfinished:
            yield Damage(
                "unfinished code",
                unfinished,
                f"{some(unfinished, 'code')} of {space.identifier} "
                f"{'was' if unfinished == 1 else 'were'} never completed: left by a killed run, "
                "or being made by another process just now",
                "removed; searches never used it",
                partial(discard_unfinished, encoder_id=space.id),
            )
        active = _count_hashers(session, space, "active")
        if active > 1:
            yield Damage(
                "two codes",
                active,
                f"{space.identifier} has {active} active codes; searches use one of them",
                "the last one that can be loaded is kept",
                partial(_keep_one, encoder_id=space.id),
            )
    for record, dim, hasher in _loadable(session):
        found = hasher.bits, len(hasher.image_mean_)
        if (record.bits, dim) != found:
            yield Damage(
                "numbers of a code",
                1,
                f"the records say {record.bits} bits and {dim} dimensions, but the hasher "
                f"{record.name} is of {found[0]} and {found[1]}",
                "the records are set to what the hasher has",
                partial(_set_numbers, hasher_id=record.id, encoder_id=record.encoder_id, to=found),
            )


def dimensions(session: Session) -> Iterator[Damage]:
    """An encoder's record has the dimensions that most of its features have."""
    size = func.length(Feature.vector)
    for space in spaces(session):
        most = session.execute(
            select(size, func.count())
            .where(Feature.encoder_id == space.id)
            .group_by(size)
            .order_by(func.count().desc())
            .limit(1)
        ).first()
        dim = session.scalar(select(EncoderRecord.dim).where(EncoderRecord.id == space.id))
        if most is None or most[0] == 2 * (dim or 0):
            continue
        yield Damage(
            "dimensions",
            1,
            f"the record of {space.identifier} says {dim} dimensions, but {most[1]:,} of its "
            f"features have {most[0] // 2}",
            "the record is set to what the features have",
            partial(_set_dimensions, encoder_id=space.id, dim=most[0] // 2),
        )


def calibrations(session: Session) -> Iterator[Damage]:
    """A calibration can be read."""
    for record in session.scalars(select(CalibrationRecord)):
        if read_calibration(record.blob) is None:
            yield Damage(
                "calibration",
                1,
                "what the library takes for chance cannot be read; searches measure it anew",
                "removed; the next `xmodal index` measures it again",
                partial(_drop_calibration, encoder_id=record.encoder_id),
            )


def missing_codes(load_background: LoadBackground, session: Session) -> Iterator[Damage]:
    """A space with features has a hasher that can be loaded; if not, a new one is learned."""
    for space in spaces(session):
        record = session.scalar(
            select(HasherRecord)
            .where(HasherRecord.encoder_id == space.id, HasherRecord.state == "active")
            .order_by(HasherRecord.id.desc())
            .limit(1)
        )
        if record is None:
            if session.scalar(select(exists().where(Feature.encoder_id == space.id))):
                problem, bits = f"{space.identifier} has features and no code", DEFAULT_BITS
            else:
                continue
        else:
            try:
                load_hasher(io.BytesIO(record.blob))
                continue
            except HasherError as error:
                problem = f"the hasher {record.name} of {space.identifier} is damaged: {error}"
                bits = record.bits if record.bits in range(8, 1025, 8) else DEFAULT_BITS
        yield Damage(
            "hasher",
            1,
            f"{problem}; searches cannot use it",
            f"a new `itq` code of {bits} bits is learned from the pictures; `xmodal train` then "
            "learns from your keywords again",
            partial(_learn_anew, space=space, load_background=load_background, bits=bits),
        )


def segments(session: Session) -> Iterator[Damage]:
    """Lengths and checksums of all segments are right."""
    damaged = [(head, str(error)) for head, error in damaged_segments(session)]
    if not damaged:
        return
    (first, error), codes = damaged[0], sum(head.count for head, _ in damaged)
    yield Damage(
        "segment",
        len(damaged),
        f"{some(len(damaged), 'segment')} with {some(codes, 'code')} cannot be used, the first is "
        f"number {first.number} ({first.modality} codes of hasher {first.hasher_id}): {error}",
        "removed, and its codes are made again from the features",
        partial(_replace_segments, heads=[head for head, _ in damaged]),
    )


def codes_in_step(session: Session) -> Iterator[Damage]:
    """What a search may return has one code, everything else none."""
    damaged = {(head.hasher_id, head.modality) for head, _ in damaged_segments(session)}
    for space in spaces(session):
        code = _active_hasher(session, space)
        if code is None:
            continue
        for modality, noun in MODALITIES.items():
            if (code, modality) in damaged:  # who has a code is known when they are mended
                continue
            found = _out_of_step(session, space.id, code, modality)
            described = (
                ("item without code", found.missing, "without a code: no search finds", "coded"),
                ("orphan code", found.orphans, "with a code that nothing uses:", "code removed"),
                ("two codes of an item", found.doubled, "with two codes:", "coded anew"),
            )
            for kind, ids, problem, remedy in described:
                if len(ids):
                    yield Damage(
                        kind,
                        len(ids),
                        f"{some(len(ids), noun)} of {space.identifier} {problem} item {ids[0]}"
                        + (" and others" if len(ids) > 1 else ""),
                        remedy,
                        partial(bring_into_step, encoder_id=space.id, modality=modality),
                    )


class _Step:
    """Ids, ascending, of what is out of step with the codes of one hasher and modality."""

    def __init__(self, coded: Ids, live: Ids, featured: Ids) -> None:
        known, counts = np.unique(coded, return_counts=True)
        self.doubled = known[counts > 1]
        self.orphans = np.setdiff1d(known, live, assume_unique=True)
        self.missing = np.setdiff1d(np.intersect1d(live, featured), known, assume_unique=True)


def bring_into_step(database: Database, encoder_id: int, modality: str) -> None:
    """Make codes of what a search may return and has none, and remove those of anything else."""
    with database.session() as session:
        code = active_code(session, encoder_id)
        if code is None:
            return
        step = _out_of_step(session, encoder_id, code.hasher_id, modality)
        featured = feature_ids(session, encoder_id, modality)
    anew = np.setdiff1d(np.intersect1d(step.doubled, featured), step.orphans)
    wanted = np.union1d(step.missing, anew)
    encode = code.encode_images if modality == "image" else code.encode_texts
    with database.transaction() as session:
        delete_codes(session, code.hasher_id, modality, np.union1d(step.orphans, step.doubled))
    for start in range(0, len(wanted), CODING_BATCH):
        ids = wanted[start : start + CODING_BATCH]
        with database.transaction() as session:
            codes = encode(read_features(session, encoder_id, ids))
            append_codes(session, code.hasher_id, modality, ids, codes)
    with database.transaction() as session:
        merge_segments(session, code.hasher_id, modality)


def _out_of_step(session: Session, encoder_id: int, hasher_id: int, modality: str) -> _Step:
    coded = list(read_ids(session, read_heads(session, hasher_id, modality)))
    last = session.scalar(select(func.max(Item.id))) or 0
    return _Step(
        np.concatenate([np.empty(0, np.int64), *coded]),
        np.unique(live_items(session, modality, 1, last)),
        feature_ids(session, encoder_id, modality),
    )


def _active_hasher(session: Session, space: Space) -> int | None:
    """The hasher whose codes searches use; None where its codes cannot be made."""
    try:
        code = active_code(session, space.id)
    except HasherError:
        return None
    return None if code is None else code.hasher_id


def _count_hashers(session: Session, space: Space, state: str) -> int:
    query = select(func.count()).where(
        HasherRecord.encoder_id == space.id, HasherRecord.state == state
    )
    return session.scalar(query) or 0


def _loadable(session: Session) -> Iterator[tuple[HasherRecord, int, Hasher]]:
    """Active hashers that can be loaded, with the dimensions that their space's record tells."""
    rows = session.execute(
        select(HasherRecord, EncoderRecord.dim)
        .join(EncoderRecord, EncoderRecord.id == HasherRecord.encoder_id)
        .where(HasherRecord.state == "active")
        .order_by(HasherRecord.id.desc())
    )
    for record, dim in rows:
        try:
            yield record, dim, load_hasher(io.BytesIO(record.blob))
        except HasherError:
            continue


def _keep_one(database: Database, encoder_id: int) -> None:
    with database.transaction() as session:
        ids = [r.id for r, _, _ in _loadable(session) if r.encoder_id == encoder_id]
        others = (HasherRecord.encoder_id == encoder_id, HasherRecord.state == "active")
        kept = ids[0] if ids else session.scalar(select(func.max(HasherRecord.id)).where(*others))
        session.execute(delete(HasherRecord).where(*others, HasherRecord.id != kept))


def _set_numbers(database: Database, hasher_id: int, encoder_id: int, to: tuple[int, int]) -> None:
    bits, dim = to
    with database.transaction() as session:
        session.execute(update(HasherRecord).where(HasherRecord.id == hasher_id).values(bits=bits))
        session.execute(update(EncoderRecord).where(EncoderRecord.id == encoder_id).values(dim=dim))


def _set_dimensions(database: Database, encoder_id: int, dim: int) -> None:
    with database.transaction() as session:
        session.execute(update(EncoderRecord).where(EncoderRecord.id == encoder_id).values(dim=dim))


def _drop_calibration(database: Database, encoder_id: int) -> None:
    with database.transaction() as session:
        session.execute(delete(CalibrationRecord).where(CalibrationRecord.encoder_id == encoder_id))


def _learn_anew(
    database: Database, space: Space, load_background: LoadBackground, bits: int
) -> None:
    background = load_background(space)
    code = first_code(database, space.id, background, bits)
    renew_code(database, space.id, code, lambda: background)


def _replace_segments(database: Database, heads: list[Head]) -> None:
    with database.transaction() as session:
        remove_segments(session, [head.number for head in heads])
        owners = {r.id: r.encoder_id for r in session.scalars(select(HasherRecord))}
    for hasher_id, modality in dict.fromkeys((head.hasher_id, head.modality) for head in heads):
        bring_into_step(database, owners[hasher_id], modality)
