"""The calibration of a feature space: kept in the library, made anew as the library grows."""

import zipfile
import zlib
from collections.abc import Callable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.query.confidence import SAMPLE, Calibration, calibrate
from xmodal.spaces.code import ActiveCode, sample_features
from xmodal.store.database import Database
from xmodal.store.models import CalibrationRecord
from xmodal.store.segments import count_codes

# A library that has grown by less looks the same: the law is scaled to its size in any case.
GROWN = 1.25


def calibration_of(
    session: Session, encoder_id: int, background: Callable[[], Background]
) -> Calibration:
    """The calibration of this space, made now where the library has none that can be read."""
    blob = session.scalar(
        select(CalibrationRecord.blob).where(CalibrationRecord.encoder_id == encoder_id)
    )
    kept = None if blob is None else read_calibration(blob)
    return kept or _calibrated(session, encoder_id, background())


def read_calibration(blob: bytes) -> Calibration | None:
    """What the library keeps; None where it is damaged."""
    try:
        return Calibration.load(blob)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def renew_calibration(
    database: Database, code: ActiveCode, encoder_id: int, background: Callable[[], Background]
) -> None:
    """Calibrate again where the library has grown or shrunk by a quarter, or never was.

    The caller holds ``database.writer()``.
    """
    with database.session() as session:
        before = session.scalar(
            select(CalibrationRecord.pictures).where(CalibrationRecord.encoder_id == encoder_id)
        )
        pictures = count_codes(session, code.hasher_id, "image")
        if not pictures or (before and before / GROWN < pictures < before * GROWN):
            return
        calibration = _calibrated(session, encoder_id, background())
    with database.transaction() as session:
        session.execute(delete(CalibrationRecord).where(CalibrationRecord.encoder_id == encoder_id))
        session.add(
            CalibrationRecord(encoder_id=encoder_id, pictures=pictures, blob=calibration.dump())
        )


def _calibrated(session: Session, encoder_id: int, background: Background) -> Calibration:
    return calibrate(sample_features(session, encoder_id, "image", SAMPLE), background)
