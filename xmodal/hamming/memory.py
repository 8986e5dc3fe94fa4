"""Whether arrays will fit into memory, asked before they are made."""

import os
from contextlib import suppress
from pathlib import Path

from xmodal.errors import NotEnoughMemoryError

_SMALL = 1 << 26  # bytes; not worth a question


def require_memory(needed: int, purpose: str) -> None:
    """Raise NotEnoughMemoryError, with both numbers, if ``needed`` bytes are not free.

    ``purpose`` says what they are for, as "the codes". Where the system does not tell what is
    free, the physical memory is the limit.
    """
    if needed <= _SMALL:
        return
    free = free_memory()
    if free is not None and needed > free:
        raise NotEnoughMemoryError(
            f"{purpose} need {_readable(needed)} of memory and {_readable(free)} are free; close "
            "other programs, or ask for less at a time"
        )


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not tell."""
    limits = [found for found in (_system_memory(), _container_memory()) if found is not None]
    return min(limits, default=None)


def _system_memory() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _container_memory() -> int | None:
    """What the control group of a container leaves; its page cache counts as free."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        for line in (group / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.startswith("file "):
                used -= int(line.split()[1])
        return max(0, limit - used)
    return None


def _readable(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
