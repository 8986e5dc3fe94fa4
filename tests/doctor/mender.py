"""Repairs a library in small steps and tells each one, to be killed: `python mender.py FILE`."""

import sys
import time
from typing import Any

from xmodal.doctor import codes
from xmodal.library import Library


def main(file: str) -> None:
    codes.CODING_BATCH = 4
    append = codes.append_codes

    def tell_and_append(*arguments: Any) -> None:
        print("coding", flush=True)
        time.sleep(0.01)
        append(*arguments)

    codes.append_codes = tell_and_append
    with Library.open(file) as library:
        print("repairing", flush=True)
        library.doctor(repair=True)
        print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
