import stat
from pathlib import Path

import pytest

from qmpserver.shell.history import history_path, open_history


def test_lines_are_kept_for_their_owner_but_none_that_hold_secrets(tmp_path: Path) -> None:
    path = history_path({"XDG_STATE_HOME": str(tmp_path)})
    history = open_history(path)
    for line in ("query-jobs", " query-block", "object-add qom-type=secret id=s data=abc", "x password=y"):
        history.append_string(line)
    assert list(open_history(path).load_history_strings()) == ["query-jobs"]
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_without_a_place_lines_are_remembered_while_the_shell_lasts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = open_history(str(tmp_path / "file" / "x"))
    history.append_string("a")
    assert history.get_strings() == ["a"]


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"HOME": "/h"}, "/h/.local/state/qmpserver/shell-history"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/qmpserver/shell-history"),
    ],
)
def test_history_lies_where_programs_keep_their_state(environment: dict[str, str], path: str) -> None:
    assert history_path(environment) == path
