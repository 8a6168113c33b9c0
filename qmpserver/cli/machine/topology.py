"""Work out how processors are arranged from what ``-smp`` says of them."""

import math
import re
from collections.abc import Mapping
from typing import Any

from qmpserver.cli.serving.option_error import OptionError
from qmpserver.machine.boards import Board
from qmpserver.machine.config import Topology
from qmpserver.numerals import decimal

_LEVELS = ("drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads")
_UNUSED_LEVELS = ("drawers", "books", "clusters")
_SHOWN = ("sockets", "dies", "modules", "cores", "threads")
_NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|[0-9]+)\Z")


def make_topology(given: Mapping[str, Any], board: Board) -> Topology:
    """Arrange the processors; levels that are not mentioned have what is left over.

    Raises:
        OptionError: That cannot be.
    """
    numbers = _numbers(given)
    if any(number == 0 for number in numbers.values()):
        raise OptionError("Invalid CPU topology: CPU topology parameters must be greater than zero")
    for level in _unsupported_levels(board):
        if numbers.get(level, 1) > 1:
            raise OptionError(f"{level} > 1 not supported by this machine's CPU topology")
    counts = {level: numbers.get(level, 0) for level in _SHOWN}
    cpus, most = numbers.get("cpus", 0), numbers.get("maxcpus", 0)
    most = most or cpus
    _fill_in(counts, most, board)
    product = math.prod(counts.values())
    most = most or product
    cpus = cpus or most
    _check(counts, product, most, cpus, board)
    return Topology(cpus=cpus, max_cpus=most, **counts)


def _numbers(given: Mapping[str, Any]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for key in ("cpus", *_LEVELS, "maxcpus"):
        if key in given:
            text = str(given[key])
            if not _NUMBER.match(text):
                raise OptionError(f"Parameter 'smp.{key}' expects integer")
            numbers[key] = int(text, 0) if "x" in text.lower() else decimal(text)
    for key in given:
        if key not in (*numbers, "cpus", *_LEVELS, "maxcpus"):
            raise OptionError(f"Parameter 'smp.{key}' is unexpected")
    return numbers


def _unsupported_levels(board: Board) -> tuple[str, ...]:
    has_dies = board.family in ("pc", "q35")
    return _UNUSED_LEVELS if has_dies else (*_UNUSED_LEVELS, "dies", "modules")


def _fill_in(counts: dict[str, int], wanted: int, board: Board) -> None:
    """Give the levels that nothing was said of their numbers; the first of them gets what is left over."""
    for level in ("dies", "modules"):
        counts[level] = counts[level] or 1
    if not wanted:
        counts.update({level: number or 1 for level, number in counts.items()})
        return
    order = ("sockets", "cores", "threads") if board.prefers_sockets else ("cores", "sockets", "threads")
    open_levels = [level for level in order if not counts[level]]
    counts.update(dict.fromkeys(open_levels[1:], 1))
    for level in open_levels[:1]:
        others = math.prod(number or 1 for name, number in counts.items() if name != level)
        counts[level] = wanted // others


def _check(counts: Mapping[str, int], product: int, most: int, cpus: int, board: Board) -> None:
    shown = " * ".join(f"{level} ({number})" for level, number in counts.items())
    if cpus < 0 or most > board.cpu_max or cpus > board.cpu_max:
        raise OptionError(
            f"Invalid SMP CPUs {max(cpus, most) if cpus > 0 else cpus}. The max CPUs supported by machine "
            f"'{board.name}' is {board.cpu_max}"
        )
    if product != most:
        raise OptionError(
            f"Invalid CPU topology: product of the hierarchy must match maxcpus: {shown} != maxcpus ({most})"
        )
    if most < cpus:
        raise OptionError(
            f"Invalid CPU topology: maxcpus must be equal to or greater than smp: {shown} == maxcpus ({most}) < "
            f"smp_cpus ({cpus})"
        )
