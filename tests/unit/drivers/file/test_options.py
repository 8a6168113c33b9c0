import asyncio
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from tests.unit.drivers.file.context import OpenFile

NATIVE = "aio=native was specified, but it requires cache.direct=on, which was not specified."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"aio": "native"}, NATIVE),
        ({"pr_manager": "pm"}, "No persistent reservation manager with id 'pm'"),
        ({"filename": ""}, "The 'file' block driver requires a file name"),
    ],
)
def test_an_option_that_cannot_be_had_is_refused(
    image: Path, open_file: OpenFile, given: dict[str, Any], text: str
) -> None:
    path = given.pop("filename", image)
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_file(path, **given))
    assert caught.value.description == text


@pytest.mark.parametrize(
    "given",
    [
        {"aio": "threads"},
        {"aio": "io_uring", "aio_max_batch": 5},
        {"aio": "native", "direct": True},
        {"drop_cache": False, "x_check_cache_dropped": True},
        {"locking": "on"},
        {"locking": "off"},
    ],
)
def test_every_other_option_is_taken(image: Path, open_file: OpenFile, given: dict[str, Any]) -> None:
    async def main() -> None:
        driver = await open_file(image, **given)
        await driver.close()

    asyncio.run(main())
