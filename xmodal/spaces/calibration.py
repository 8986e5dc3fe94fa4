"""The calibration of a feature space: kept in the library, made anew as the library grows."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.query.confidence import SAMPLE, Calibration, calibrate
from xmodal.spaces.code import count_features, sample_features
from xmodal.store.database import Database
from xmodal.store.models import CalibrationRecord

# A library that has grown by less looks the same: the law is scaled to its size in any case.
GROWN = 1.25


def kept_calibration(session: Session, encoder_id: int) -> Calibration | None:
    """The calibration of this space; None before there is one."""
    blob = session.scalar(
        select(CalibrationRecord.blob).where(CalibrationRecord.encoder_id == encoder_id)
    )
    return None if blob is None else Calibration.load(blob)


def new_calibration(session: Session, encoder_id: int, background: Background) -> Calibration:
    """Calibrated now, on the pictures that the session sees; there must be one."""
    pictures = count_features(session, encoder_id, "image")
    sample = sample_features(session, encoder_id, "image", SAMPLE)
    return calibrate(sample, background, pictures)


def renew_calibration(database: Database, encoder_id: int, background: Background) -> None:
    """Calibrate again where the library has grown or shrunk by a quarter, or never was.

    The caller holds ``database.writer()``.
    """
    with database.session() as session:
        before = session.scalar(
            select(CalibrationRecord.pictures).where(CalibrationRecord.encoder_id == encoder_id)
        )
        pictures = count_features(session, encoder_id, "image")
        if not pictures or (before and before / GROWN < pictures < before * GROWN):
            return
        calibration = new_calibration(session, encoder_id, background)
    with database.transaction() as session:
        session.execute(delete(CalibrationRecord).where(CalibrationRecord.encoder_id == encoder_id))
        session.add(
            CalibrationRecord(encoder_id=encoder_id, pictures=pictures, blob=calibration.dump())
        )
