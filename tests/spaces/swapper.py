"""Trains a library again and again, until it is killed: `python swapper.py FILE`."""

import itertools
import sys
from typing import Any

from xmodal.library import Library
from xmodal.spaces import code, training
from xmodal.spaces.recipe import Recipe


def main(file: str) -> None:
    code.CODING_BATCH = code.SEGMENT_CODES = 16  # many transactions: more moments to be killed in
    training.choose_recipe = lambda rows, background, bits, seed: Recipe(bits, bits // 2, "lemon")
    append = code.append_codes

    def tell_and_append(*arguments: Any) -> None:
        print("coding", flush=True)
        append(*arguments)

    code.append_codes = tell_and_append
    with Library.open(file) as library:
        for bits in itertools.cycle((32, 64)):
            print("learning", flush=True)
            library.train(bits)
            print("trained", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
