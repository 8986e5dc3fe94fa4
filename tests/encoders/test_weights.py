"""Weights are known by their digest, and hashed once."""

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.encoders import weights
from xmodal.encoders.weights import sha256_of, verify_sha256
from xmodal.errors import EncoderError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were really read."""
    names = []
    digest = hashlib.file_digest

    def counting(file, algorithm):
        names.append(os.path.basename(file.name))
        return digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    return names


@given(content=st.binary(max_size=200))
def test_digest_is_that_of_the_content(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("weights") / "w.bin"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_unchanged_file_is_hashed_once(tmp_path, hashed):
    path = tmp_path / "w.bin"
    path.write_bytes(b"weights")
    assert sha256_of(path) == sha256_of(path)
    assert hashed == ["w.bin"]


def test_changed_file_is_hashed_again(tmp_path, hashed):
    path = tmp_path / "w.bin"
    path.write_bytes(b"weights")
    before = sha256_of(path)
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(1, 1))
    assert sha256_of(path) == hashlib.sha256(b"WEIGHTS").hexdigest() != before
    assert hashed == ["w.bin", "w.bin"]


def test_wrong_digest_names_file_and_both_digests(tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(b"weights")
    found, expected = hashlib.sha256(b"weights").hexdigest(), "0" * 64
    verify_sha256(path, found.upper())
    with pytest.raises(EncoderError) as raised:
        verify_sha256(path, expected)
    for part in (str(path), found, expected, "delete it"):
        assert part in str(raised.value)


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', "\x00"])
def test_damaged_memory_only_costs_time(tmp_path, damage):
    path = tmp_path / "w.bin"
    path.write_bytes(b"weights")
    before = sha256_of(path)
    weights._memory_file().write_text(damage)
    assert sha256_of(path) == before


def test_missing_file_is_an_encoder_error(tmp_path):
    with pytest.raises(EncoderError, match=r"w\.bin"):
        sha256_of(tmp_path / "w.bin")
