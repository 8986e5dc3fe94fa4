"""Which feature space a run uses: a library is bound to the encoders it was indexed with."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from xmodal.encoders.base import Encoder
from xmodal.encoders.lazy import lazy_encoder
from xmodal.errors import EncoderError, LibraryError
from xmodal.store.database import Database
from xmodal.store.models import LIVE, EncoderRecord, Feature, File


@dataclass(frozen=True)
class Space:
    """One encoder of a library: its row, its ``Encoder.id``, and the spec that loads it again."""

    id: int
    identifier: str
    spec: str

    def verified(self, encoder: Encoder) -> Encoder:
        """``encoder``, if it gives the features of this space; EncoderError otherwise."""
        if encoder.id != self.identifier:
            raise EncoderError(
                f"the library's features come from {self.identifier}, but {self.spec!r} is now "
                f"{encoder.id}: the two cannot be compared. Install the versions that made the "
                f"library, or add the new space with `xmodal index FOLDER --encoder {self.spec} "
                "--add-encoder`; nothing that is there is lost"
            )
        return encoder


def spaces(session: Session) -> list[Space]:
    """All feature spaces, the default first."""
    records = session.scalars(
        select(EncoderRecord).order_by(EncoderRecord.is_default.desc(), EncoderRecord.id)
    )
    return [Space(record.id, record.identifier, record.spec) for record in records]


def space_for_search(session: Session, spec: str | None) -> Space:
    """The default space, or the one whose spec or id is ``spec``."""
    known = spaces(session)
    if not known:
        raise LibraryError("nothing is indexed yet; run `xmodal index FOLDER` first")
    if spec is None:
        return known[0]
    for space in known:
        if spec in (space.spec, space.identifier):
            return space
    names = ", ".join(space.spec for space in known)
    raise EncoderError(f"the library has no features of {spec!r}, only of: {names}")


def unseen_pictures(session: Session, space: Space) -> int:
    """How many pictures and videos were indexed with another encoder alone."""
    seen = exists().where(Feature.encoder_id == space.id, Feature.item_id == File.item_id)
    pictures = func.count(File.item_id.distinct())
    return session.scalar(select(pictures).where(File.state.in_(LIVE), ~seen)) or 0


def space_for_indexing(
    database: Database,
    spec: str | None,
    add: bool,
    load: Callable[[str], Encoder],
) -> tuple[Space, Encoder]:
    """The space that an index run writes to, and its encoder, which may be loaded only when used.

    A new library takes ``spec`` (default ``auto``). Later runs use the default space; a ``spec``
    that leads to another encoder is refused unless ``add`` asks for a second space, which then
    becomes the default once :func:`make_default` is called.
    """
    with database.session() as session:
        known = spaces(session)
    if spec is None and known:
        space = known[0]
        return space, lazy_encoder(lambda: space.verified(load(space.spec)))
    encoder = load(spec or "auto")
    for space in known:
        if space.identifier == encoder.id:
            return space, encoder
    if known and not add:
        raise EncoderError(
            f"the library's features come from {known[0].identifier}; {encoder.id} is another "
            "feature space and is not mixed with it. Leave --encoder out to go on with the "
            "library's own, or add the second space on purpose with --add-encoder"
        )
    with database.transaction() as session:
        record = EncoderRecord(
            identifier=encoder.id, spec=encoder.spec, dim=encoder.dim, is_default=not known
        )
        session.add(record)
        session.flush()
        return Space(record.id, record.identifier, record.spec), encoder


def make_default(database: Database, space: Space) -> None:
    """Let searches use ``space`` from now on."""
    with database.transaction() as session:
        session.execute(update(EncoderRecord).values(is_default=EncoderRecord.id == space.id))
