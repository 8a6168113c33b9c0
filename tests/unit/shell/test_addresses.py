import pytest

from qmpserver.shell.addresses import Address, AddressError, HostPort, Inherited, UnixPath, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("qmp.sock", UnixPath("qmp.sock")),
        ("/a/b:c:d", UnixPath("/a/b:c:d")),
        ("unix:/a:1", UnixPath("/a:1")),
        ("localhost:4444", HostPort("localhost", 4444)),
        (":4444", HostPort("", 4444)),
        ("tcp:h:1", HostPort("h", 1)),
        ("[::1]:4444", HostPort("::1", 4444)),
        ("fd:3", Inherited(3)),
    ],
)
def test_an_address_is_a_path_a_port_or_a_descriptor(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text", ["a:", "a:b", "a:-1", "a:65536", "a:" + "9" * 5000, "a:\u0661", "[::1]:", "fd:", "fd:x"]
)
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match=r"^Bad (port|descriptor) number: "):
        parse(text)
