"""A key comes back from its stripes, and from nothing less."""

import pytest

from qmpserver.crypto.splitter import merge_key, split_key


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("length", [16, 24, 64])
def test_a_key_comes_back_from_its_stripes_and_not_from_less(hash_name: str, length: int) -> None:
    key = bytes(range(length))
    split = split_key(key, 50, hash_name)
    assert len(split) == 50 * length
    assert merge_key(split, 50, hash_name) == key
    for place in (0, 20 * length + 3, len(split) - 1):
        damaged = bytearray(split)
        damaged[place] ^= 1
        assert merge_key(bytes(damaged), 50, hash_name) != key
