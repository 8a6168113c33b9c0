"""All actions or none, and the last first on the way out."""

import asyncio

import pytest

from qmpserver import transaction
from qmpserver.errors import QMPError
from qmpserver.transaction import TransactionAction


class Noted(TransactionAction):
    """Notes its steps, and fails in those it is told to."""

    def __init__(self, name: str, story: list[str], fails: str = "") -> None:
        self.name, self.story, self.fails = name, story, fails

    def _note(self, step: str) -> None:
        self.story.append(f"{step} {self.name}")
        if step in self.fails.split():
            raise QMPError(f"{step} of {self.name}")

    async def prepare(self) -> None:
        self._note("prepare")

    async def commit(self) -> None:
        self._note("commit")

    async def abort(self) -> None:
        self._note("abort")

    async def clean(self) -> None:
        self._note("clean")


class Plain(TransactionAction):
    """Has nothing to do but to be prepared."""

    async def prepare(self) -> None:
        return


def test_what_was_prepared_last_is_committed_first() -> None:
    story: list[str] = []
    asyncio.run(transaction.run([Noted("a", story), Plain(), Noted("b", story)]))
    assert story == ["prepare a", "prepare b", "commit b", "commit a", "clean b", "clean a"]


def test_a_refusal_takes_all_back_whatever_that_meets() -> None:
    story: list[str] = []
    actions = [
        Noted("a", story),
        Noted("b", story, "abort"),
        Plain(),
        Noted("c", story, "prepare"),
        Noted("d", story),
    ]
    with pytest.raises(QMPError, match="prepare of c"):
        asyncio.run(transaction.run(actions))
    assert story == [
        "prepare a", "prepare b", "prepare c", "abort c", "abort b", "abort a", "clean c", "clean b", "clean a",
    ]  # fmt: skip


def test_nothing_to_do_is_done() -> None:
    asyncio.run(transaction.run([]))
