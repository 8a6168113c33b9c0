"""Boards are found by name and alias, and their processors are where QEMU has them."""

import pytest

from qmpserver.machine.boards import BOARDS, default_board, find_board
from qmpserver.machine.config import Topology
from qmpserver.machine.cpu_models import CPU_MODELS
from qmpserver.machine.processors import path_of, places


@pytest.mark.parametrize(
    ("name", "found"),
    [("pc", "pc-i440fx-11.1"), ("q35", "pc-q35-11.1"), ("none", "none"), ("microvm", "microvm")],
)
def test_a_board_is_found_by_its_alias(name: str, found: str) -> None:
    board = find_board(name)
    assert board is not None
    assert board.name == found


def test_there_is_one_default_board_and_no_unknown_one() -> None:
    assert [board.name for board in BOARDS.values() if board.is_default] == [default_board().name]
    assert find_board("pc-i440fx-1.0") is None


@pytest.mark.parametrize(("version", "most"), [("7.2", 288), ("8.1", 1024), ("9.0", 4096), ("11.1", 4096)])
def test_later_boards_have_room_for_more_processors(version: str, most: int) -> None:
    assert BOARDS[f"pc-q35-{version}"].cpu_max == most
    assert BOARDS[f"pc-i440fx-{version}"].cpu_max == 255


@pytest.mark.parametrize(
    ("version", "deprecated"), [("7.2", True), ("8.1", True), ("8.2", False), ("11.1", False)]
)
def test_old_boards_are_to_go_away(version: str, deprecated: bool) -> None:
    assert BOARDS[f"pc-i440fx-{version}"].deprecated is deprecated


def test_every_default_model_is_a_model() -> None:
    assert all(board.default_cpu is None or board.default_cpu in CPU_MODELS for board in BOARDS.values())


def test_every_alias_of_a_model_leads_to_a_model() -> None:
    aliases = [model.alias_of for model in CPU_MODELS.values() if model.alias_of is not None]
    assert aliases
    assert all(alias in CPU_MODELS for alias in aliases)


def test_processors_are_counted_from_the_innermost_level() -> None:
    topology = Topology(cpus=3, max_cpus=4, dies=2, threads=2)
    assert [place.to_wire() for place in places(topology, has_nodes=False)] == [
        {"socket-id": 0, "die-id": die, "core-id": 0, "thread-id": thread}
        for die in (0, 1)
        for thread in (0, 1)
    ]


def test_places_are_in_a_node_where_there_are_nodes() -> None:
    (place,) = places(Topology(), has_nodes=True)
    assert place.to_wire() == {"node-id": 0, "socket-id": 0, "core-id": 0, "thread-id": 0}


def test_the_second_object_beside_the_processors_is_another() -> None:
    assert [path_of(index) for index in range(3)] == [f"/machine/unattached/device[{n}]" for n in (0, 2, 3)]
