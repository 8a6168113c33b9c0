"""Spread a key over many stripes, so that whoever lacks a piece of them has nothing.

Source: LUKS On-Disk Format Specification, section 2.4 ("Anti-forensic splitter").
"""

import os

from qmpserver.crypto.hashes import digest, digest_bytes


def split_key(key: bytes, stripes: int, hash_name: str) -> bytes:
    """Return `stripes` times as many bytes as `key` has; any loss among them is the loss of the key."""
    made = os.urandom(len(key) * (stripes - 1))
    return made + _xor(_mixed(_pieces(made, len(key)), len(key), hash_name), key)


def merge_key(split: bytes, stripes: int, hash_name: str) -> bytes:
    """Return the key of which `split_key` made that."""
    length = len(split) // stripes
    pieces = _pieces(split, length)
    return _xor(_mixed(pieces[:-1], length, hash_name), pieces[-1])


def _pieces(data: bytes, length: int) -> list[bytes]:
    return [data[at : at + length] for at in range(0, len(data), length)]


def _mixed(pieces: list[bytes], length: int, hash_name: str) -> bytes:
    mixed = bytes(length)
    for piece in pieces:
        mixed = _diffuse(_xor(mixed, piece), hash_name)
    return mixed


def _diffuse(data: bytes, hash_name: str) -> bytes:
    """Let every bit of each part of `data` depend on all of that part."""
    step = digest_bytes(hash_name)
    parts = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(
        digest(hash_name, index.to_bytes(4, "big") + part)[: len(part)] for index, part in enumerate(parts)
    )


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")
