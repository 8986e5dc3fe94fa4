"""Replaces the code of a library again and again, until it is killed: `python swapper.py FILE`."""

import itertools
import sys

from xmodal.encoders.background import load_background
from xmodal.hashing import create_hasher
from xmodal.spaces import code
from xmodal.store.database import Database


def main(file: str) -> None:
    from toy import ToyEncoder

    code.CODING_BATCH = code.SEGMENT_CODES = 16  # many transactions: more moments to be killed in
    background = load_background(ToyEncoder())
    database = Database.open(file, create=False)
    print("started", flush=True)
    with database.writer():
        for seed in itertools.count():
            code.discard_unfinished(database, 1)
            hasher = create_hasher("itq", bits=64, seed=seed)
            hasher.fit(background.picture_features, background.word_features)
            code.replace_code(database, 1, hasher, "itq", trained_on={"pictures": 200})


if __name__ == "__main__":
    main(sys.argv[1])
