"""JSON as qemu-img prints it."""

from qmpserver.cli.json_text import write_json


def test_members_come_in_the_order_of_qemus_hash_table() -> None:
    names = ["format", "dirty-flag", "filename", "virtual-size", "backing-filename-format", "children"]
    text = write_json(dict.fromkeys(names, 0))
    in_order = ["children", "backing-filename-format", "virtual-size", "filename", "format", "dirty-flag"]
    assert [line.split('"')[1] for line in text.splitlines()[1:-1]] == in_order


def test_what_is_empty_still_takes_two_lines() -> None:
    assert write_json({"flags": []}) == '{\n    "flags": [\n    ]\n}'
    assert write_json([{}]) == "[\n    {\n    }\n]"
