"""What is no damage and still worth knowing: what waits, what could be removed, what was left."""

import glob
from collections.abc import Iterator

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from xmodal.doctor.checks import some
from xmodal.doctor.records import unread_files
from xmodal.ingest.words import in_use
from xmodal.spaces.space import spaces
from xmodal.store.database import Database
from xmodal.store.models import LIVE, Feature, File, Frame, Item


def notes(database: Database, session: Session) -> Iterator[str]:
    """One sentence each."""
    unread = _count(session, File.id, unread_files())
    if unread:
        yield f"{some(unread, 'file')} will be read again by the next `xmodal index`"
    shown = exists().where(File.item_id == Item.id, File.state.in_(LIVE))
    for space in spaces(session):
        encoded = exists().where(Feature.encoder_id == space.id, Feature.item_id == Item.id)
        pictures = _count(session, Item.id, Item.kind == "image", shown, ~encoded)
        texts = _count(session, Item.id, Item.kind == "text", in_use(Item.id), ~encoded)
        if pictures or texts:
            yield (
                f"{some(pictures, 'picture')} and {some(texts, 'text')} have no feature of "
                f"{space.identifier} yet; `xmodal index FOLDER --encoder {space.spec}` makes them"
            )
    of_video = exists().where(Frame.item_id == Item.id, Frame.content_hash == File.content_hash)
    known = exists().where(or_(File.item_id == Item.id, of_video))
    forgotten = _count(session, Item.id, Item.kind == "image", ~known)
    if forgotten:
        yield f"{some(forgotten, 'picture')} of no file; harmless, and could be removed"
    unused = _count(session, Item.id, Item.kind == "text", ~in_use(Item.id))
    if unused:
        yield f"{some(unused, 'text')} that no picture has; kept in case one has it again"
    pattern = f"{glob.escape(database.path.stem)}.*.db.partial"
    for path in sorted(database.path.parent.glob(pattern)):
        yield f"{path}: a copy that was never completed; delete it"


def _count(session: Session, column: object, *where: object) -> int:
    return session.scalar(select(func.count(column)).where(*where)) or 0  # type: ignore[arg-type]
