"""Requests come in whatever pieces; their data stays as it was for as long as it is lent."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.nbd.client_replies import RequestWriter
from qmpserver.nbd.constants import Command
from qmpserver.nbd.request_buffer import BUFFER, RequestBuffer
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.server_requests import Request

LENGTHS = st.sampled_from([0, 1, 512, 4096, 100_000, BUFFER - 28, BUFFER, BUFFER + 1, 3 * BUFFER])


@dataclass
class Sent:
    """What a client sends, and what its requests should be taken for."""

    line: bytes
    data: list[bytes]


def lines_of(mode: HeaderMode, lengths: list[int]) -> Sent:
    writer, rng = RequestWriter(mode), random.Random(len(lengths))
    data = [rng.randbytes(length) for length in lengths]
    line = b"".join(
        writer.write(Command.WRITE, cookie, cookie * 512, len(part)) + part
        if part
        else writer.write(Command.READ, cookie, cookie * 512, 4096)
        for cookie, part in enumerate(data)
    )
    return Sent(line, data)


@pytest.mark.parametrize("mode", [HeaderMode.SIMPLE, HeaderMode.EXTENDED])
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(LENGTHS, max_size=8), seed=st.integers(0, 1 << 16))
def test_requests_are_taken_as_they_were_sent_and_lent_data_is_left_alone(
    mode: HeaderMode, lengths: list[int], seed: int
) -> None:
    rng, sent = random.Random(seed), lines_of(mode, lengths)
    begin = rng.choice([0, min(len(sent.line), 300)])
    requests = RequestBuffer(mode, sent.line[:begin])
    taken: list[Request] = []
    lent: dict[int, bool] = {}
    at = begin
    while True:
        while (request := requests.take()) is not None:
            assert request.data == sent.data[request.cookie]
            if rng.random() < 0.5:
                requests.lend()
                lent[request.cookie] = True
            taken.append(request)
        if at == len(sent.line):
            break
        room = requests.room()
        assert room
        count = min(len(room), rng.choice([1, 27, 5000, BUFFER]), len(sent.line) - at)
        room[:count] = sent.line[at : at + count]
        requests.received(count)
        at += count
    assert [request.cookie for request in taken] == list(range(len(lengths)))
    for request in taken:
        if request.cookie in lent:
            assert request.data == sent.data[request.cookie]


def test_long_data_behind_lent_data_does_not_overwrite_it() -> None:
    """A long request once sent the buffer back to its beginning, where a short one's data was still in use."""
    sent = lines_of(HeaderMode.SIMPLE, [4096, 2 * BUFFER, 4096])
    requests = RequestBuffer(HeaderMode.SIMPLE)
    at = 0
    kept: Request | None = None
    while at < len(sent.line):
        room = requests.room()
        count = min(len(room), len(sent.line) - at)
        room[:count] = sent.line[at : at + count]
        requests.received(count)
        at += count
        while (request := requests.take()) is not None:
            if kept is None:
                kept = request
                requests.lend()
    assert kept is not None
    assert kept.data == sent.data[0]


def test_a_short_request_that_comes_in_two_parts_leaves_room_for_all_that_follow() -> None:
    sent = lines_of(HeaderMode.SIMPLE, [4096] * 16)
    requests = RequestBuffer(HeaderMode.SIMPLE, sent.line[:5000])
    assert requests.take() is not None
    assert requests.take() is None
    room, rest = requests.room(), sent.line[5000:]
    assert len(room) >= len(rest)
    room[: len(rest)] = rest
    requests.received(len(rest))
    taken = [requests.take() for _ in range(16)]
    assert [request.data for request in taken if request is not None] == sent.data[1:]
    assert taken[-1] is None
