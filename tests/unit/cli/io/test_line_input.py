"""Lines as they are typed, piped, or lie in a file."""

import asyncio
import io
import os
from pathlib import Path

from qmpserver.cli.io.line_input import LineInput

TEXT = "one\n\nthree\xff\nfour"
LINES = ["one", "", "three\xff", "four"]


async def read_all(lines: LineInput) -> list[str]:
    found = []
    while (line := await lines.next()) is not None:
        found.append(line)
    return found


def test_lines_are_read_from_text_and_from_a_file(tmp_path: Path) -> None:
    assert asyncio.run(read_all(LineInput(io.StringIO(TEXT)))) == LINES
    path = tmp_path / "lines"
    path.write_text(TEXT)
    with path.open() as stream:
        assert asyncio.run(read_all(LineInput(stream))) == LINES


def test_others_go_on_only_where_a_line_is_waited_for() -> None:
    async def main() -> list[str]:
        read_end, write_end = os.pipe()
        told: list[str] = []

        async def other() -> None:
            told.append("other")
            os.write(write_end, b"ee\n")
            os.close(write_end)

        os.write(write_end, b"one\ntwo\nthr")
        with os.fdopen(read_end) as stream:
            lines = LineInput(stream)
            task = asyncio.create_task(other())
            while (line := await lines.next()) is not None:
                told.append(line)
            await task
        return told

    assert asyncio.run(main()) == ["one", "two", "other", "three"]
