"""All checks in their order; each is repaired before the next one looks, when that is asked for."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from xmodal.doctor import codes, contents, records, recovery
from xmodal.doctor.checks import Check, Damage
from xmodal.doctor.codes import LoadBackground
from xmodal.doctor.files import FileCheck, OnProgress
from xmodal.doctor.notes import notes
from xmodal.doctor.values import values
from xmodal.errors import LibraryError, XmodalError
from xmodal.results import DoctorReport, Finding
from xmodal.store.database import Database

State = Literal["found", "repaired", "remains"]


def check_up(
    database: Database,
    load_background: LoadBackground,
    *,
    repair: bool = False,
    files: bool = False,
    progress: OnProgress | None = None,
) -> DoctorReport:
    """What is wrong in the library; with ``repair`` also mended, after a copy of it was made.

    ``files`` reads every picture file too. Each repair is made of whole transactions, so that a
    killed one leaves a library that can be read, and repaired again. A sound library is not
    changed. Raises LibraryBusyError when another process writes, and LibraryError when a library
    that cannot be written is to be repaired.
    """
    started = time.monotonic()
    with database.writer() if repair else nullcontext():
        visit = _Visit(database, load_background, repair)
        if visit.is_sound(recovery.descriptions) and visit.is_sound(recovery.integrity):
            visit.run_all(FileCheck(progress) if files else None)
        elif repair:
            visit.recover()
    return DoctorReport(
        path=database.path,
        findings=visit.findings,
        notes=visit.notes,
        backup=visit.backup,
        recovered=visit.recovered,
        seconds=round(time.monotonic() - started, 3),
    )


@dataclass(slots=True)
class _Visit:
    """One run of the checks: what was found so far, and the copy that was made."""

    database: Database
    load_background: LoadBackground
    repair: bool
    copy_first: bool = True
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    backup: Path | None = None
    recovered: Path | None = None

    def is_sound(self, check: Check) -> bool:
        """Run a check without which others cannot read what they check; whether they can now."""
        self.run(check)
        return all(finding.state == "repaired" for finding in self.findings)

    def run_all(self, look: FileCheck | None = None) -> None:
        """Every check, causes before consequences: what a repair removes may be missed later."""
        if not self.is_sound(values):
            self.notes.append("the other checks can be made when these values are mended")
            return
        checks: list[Check] = [
            records.dangling_references,
            records.default_encoders,
            records.file_records,
            records.unused_keywords,
            codes.dimensions,
            codes.hasher_records,
            contents.features,
            contents.texts,
            contents.keyword_names,
            *([look] if look else []),
            partial(codes.missing_codes, self.load_background),
            codes.segments,
            codes.codes_in_step,
            codes.calibrations,
        ]
        for check in checks:
            self.run(check)
        with self.database.session() as session:
            self.notes += [*(look.notes if look else []), *notes(self.database, session)]

    def run(self, check: Check) -> None:
        """Note what a check finds, and mend it if that is asked for."""
        for damage in self._found(check):
            state: State = "found" if damage.mend else "remains"
            remedy = damage.remedy
            if self.repair and damage.mend:
                state = "repaired"
                if self.copy_first and self.backup is None:
                    self.backup = self.database.back_up("repair")
                try:
                    damage.mend(self.database)
                except XmodalError as error:
                    state, remedy = "remains", str(error)
            self.findings.append(Finding(damage.kind, damage.count, damage.message, remedy, state))

    def recover(self) -> None:
        """Save what can be read in a new library, and mend what was torn there."""
        self.recovered, told = recovery.recover(self.database)
        name = self.database.path.name
        self.notes += [
            f"{self.recovered}: what could be read, in rows of each table: {told}",
            f"to use it, move {name}, {name}-wal and {name}-shm away and rename it to {name}",
        ]
        saved = Database.open(self.recovered, create=False)
        try:
            visit = _Visit(saved, self.load_background, repair=True, copy_first=False)
            visit.run_all()
        finally:
            saved.close()
        self.notes += [f"there {f.state}: {f.message}; {f.remedy}" for f in visit.findings]
        self.notes += [f"there: {note}" for note in visit.notes]

    def _found(self, check: Check) -> Sequence[Damage]:
        """What a check finds; damage of the file that stops it is a finding, too."""
        try:
            with self.database.session() as session:
                return list(check(session))
        except LibraryError as error:
            return [Damage("file", 1, str(error), "restore a backup")]
