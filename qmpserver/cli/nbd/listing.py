"""List what another server exports (``-L``)."""

import asyncio
import ssl
import sys

from qmpserver import sockets
from qmpserver.cli.command_line import Given
from qmpserver.cli.images.images import Images
from qmpserver.cli.nbd.address import asked_address
from qmpserver.cli.nbd.credentials import tls_context
from qmpserver.drivers.nbd.handshake import Encryption, ask_for_exports
from qmpserver.errors import QMPError, error_text
from qmpserver.nbd.client_handshake import HandshakeRefused, Listed
from qmpserver.nbd.constants import TransmissionFlag
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.nbd.wire import ProtocolError
from qmpserver.sockets import TcpAddress, UnixAddress

_OTHER_HOSTNAME = 62
"""OpenSSL: X509_V_ERR_HOSTNAME_MISMATCH."""

_FLAG_NAMES = {
    TransmissionFlag.READ_ONLY: "readonly",
    TransmissionFlag.SEND_FLUSH: "flush",
    TransmissionFlag.SEND_FUA: "fua",
    TransmissionFlag.ROTATIONAL: "rotational",
    TransmissionFlag.SEND_TRIM: "trim",
    TransmissionFlag.SEND_WRITE_ZEROES: "zeroes",
    TransmissionFlag.SEND_DF: "df",
    TransmissionFlag.CAN_MULTI_CONN: "multi",
    TransmissionFlag.SEND_RESIZE: "resize",
    TransmissionFlag.SEND_CACHE: "cache",
    TransmissionFlag.SEND_FAST_ZERO: "fast-zero",
    TransmissionFlag.BLOCK_STATUS_PAYLOAD: "block-status-payload",
}


def run_list(given: Given) -> int:
    """Ask the server that the options name, and print what it says; return the exit status.

    Raises:
        QMPError: It does not tell.
    """
    exports = asyncio.run(_ask(given))
    print(f"exports available: {len(exports)}")
    for export in exports:
        print("\n".join(description_lines(export)))
    sys.stdout.flush()
    return 0


async def _ask(given: Given) -> list[Listed]:
    address = asked_address(given)
    async with Images(given) as images:
        encryption = _encryption(given, images, address)
        connection = await sockets.connect(address)
        try:
            return await ask_for_exports(connection, encryption)
        except HandshakeRefused as refused:
            raise _refusal(refused) from refused
        except ProtocolError as error:
            raise QMPError(str(error)) from error
        except ssl.SSLCertVerificationError as error:
            raise _disbelief(error, encryption) from error
        except OSError as error:
            reason = error.strerror or error_text(error)
            raise QMPError(f"Failed to negotiate with the NBD server: {reason}") from error


def _encryption(given: Given, images: Images, address: UnixAddress | TcpAddress) -> Encryption | None:
    context = tls_context(given, images.engine.objects, is_server=False)
    if context is None:
        return None
    hostname = given.last("tls-hostname")
    if hostname is None and isinstance(address, TcpAddress):
        hostname = address.host
    if hostname is None and context.verify_mode is not ssl.CERT_NONE:
        raise QMPError("No hostname for certificate validation")
    return Encryption(context, hostname)


def _disbelief(error: ssl.SSLCertVerificationError, encryption: Encryption | None) -> QMPError:
    if error.verify_code == _OTHER_HOSTNAME and encryption is not None:
        return QMPError(f"Certificate does not match the hostname {encryption.hostname}")
    return QMPError(f"The server's certificate is not trusted: {error.verify_message}")


def _refusal(refused: HandshakeRefused) -> QMPError:
    error = QMPError(refused.text)
    if refused.reported:
        error.hint = f"server reported: {refused.reported}"
    return error


def description_lines(export: Listed) -> list[str]:
    """Describe one export in `qemu-nbd`'s layout."""
    lines = [f" export: '{export.name}'"]
    if export.description:
        lines.append(f"  description: {export.description}")
    info = export.info
    if info is not None:
        lines.append(f"  size:  {info.size}")
        lines.append(f"  flags: 0x{info.flags:x} ( {_flag_words(info.flags)})")
    if export.block_sizes is not None:
        for what, size in zip(("min", "opt", "max"), export.block_sizes, strict=True):
            lines.append(f"  {what} block: {size}")
    lines.append(f"  transaction size: {64 if export.mode is HeaderMode.EXTENDED else 32}-bit")
    if export.contexts:
        lines.append(f"  available meta contexts: {len(export.contexts)}")
        lines += [f"   {context}" for context in export.contexts]
    return lines


def _flag_words(flags: int) -> str:
    """Name the flags that are set, the lowest first, each followed by a blank."""
    numbers = (1 << bit for bit in range(1, 16) if flags & 1 << bit)
    return "".join(f"{_FLAG_NAMES.get(TransmissionFlag(number), '?')} " for number in numbers)
