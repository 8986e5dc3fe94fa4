"""Hashers by name."""

import pytest

from xmodal.errors import HasherError
from xmodal.hashing import create_hasher, list_hashers


def test_every_hasher_says_what_it_is_and_needs():
    infos = {info.name: info for info in list_hashers()}
    assert infos["itq"].needs == ("shared space",)
    assert infos["lemon"].needs == ("labels", "pairs")
    for info in infos.values():
        assert info.description
        assert create_hasher(info.name).get_params()["bits"] == 128


def test_misspelt_hasher_suggests_the_nearest():
    with pytest.raises(HasherError, match="unknown hasher 'lemmon': did you mean 'lemon'"):
        create_hasher("lemmon")
    with pytest.raises(HasherError, match="unknown hasher 'zzz': there are lsh, pcah, itq"):
        create_hasher("zzz")


def test_unknown_parameter_names_the_valid_ones():
    with pytest.raises(
        HasherError, match="itq: unknown parameter 'rotations'; it takes bits, seed"
    ):
        create_hasher("itq", rotations=3)


@pytest.mark.parametrize("bits", [0, 4, 12, -8, 1032, 64.0, "64", True, None])
def test_impossible_code_length_is_refused_at_once(bits):
    with pytest.raises(HasherError, match=r"bits: expected a multiple of 8 from 8 to 1024, found"):
        create_hasher("itq", bits=bits)
