"""Have ``qemu-img check`` look at the files of an image, its data file and its encryption included."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.peers import need
from tests.torture.files import ImageFiles

_MOST_BYTES = 64 << 20


def qemu_check(
    folder: Path, files: ImageFiles, method: str, password: str, *more: str
) -> dict[str, Any] | None:
    """Check, or with ``-r leaks`` or ``-r all`` repair, what the files hold; they then hold what was made of it.

    Args:
        folder: Where to put the files for the peer.
        files: The image.
        method: `luks`, `aes` or nothing.
        password: What opens it then.
        more: Options of ``qemu-img check``.

    Returns:
        What it counted that is not zero; None when it gave up.
    """
    paths = {name: folder / name for name in files.files}
    for name, path in paths.items():
        path.write_bytes(files.files[name].data)
    if files.backing is not None:
        (folder / "base").write_bytes(files.backing.data)
    options = ["driver=qcow2", f"file.driver=file,file.filename={paths['file']}"]
    if "data-file" in paths:
        options.append(f"data-file.driver=file,data-file.filename={paths['data-file']}")
    objects = ["--object", f"secret,id=s,data={password}"]
    if method:
        options.append(f"encrypt.format={method},encrypt.key-secret=s")
    command = [need("qemu-img"), "check", *objects, "--output=json", *more, "--image-opts", ",".join(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if any(path.stat().st_size > _MOST_BYTES for path in paths.values()):
        # A damaged offset led it far away.
        return None
    for name, path in paths.items():
        files.files[name].data = bytearray(path.read_bytes())
    if not done.stdout.startswith("{"):
        return None
    counts: dict[str, Any] = json.loads(done.stdout)
    return {name: value for name, value in counts.items() if value and name not in {"filename", "format"}}
