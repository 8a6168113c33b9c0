"""Understand ``-cpu``: a model, and what it is to have or not to have."""

from qmpserver.cli.serving.option_error import OptionError
from qmpserver.machine.boards import Board
from qmpserver.machine.cpu_features import NUMBERS, SWITCHES, TEXTS
from qmpserver.machine.cpu_models import CPU_MODELS
from qmpserver.options import flat_options

_VENDOR_LENGTH = 12


def model_of(text: str | None, board: Board, accelerator: str) -> str | None:
    """Return the model of a machine's processors, or None where it has none.

    Args:
        text: What ``-cpu`` says, or None when it was not given.
        board: What they are on.
        accelerator: What would run them.

    Raises:
        OptionError: There is no such model, or it has no such feature.
    """
    if text is None:
        return board.default_cpu
    if not text:
        raise OptionError("-cpu option cannot be empty")
    name, _, features = text.partition(",")
    model = CPU_MODELS.get(name)
    if model is None:
        raise OptionError(f"unable to find CPU model '{name}'")
    if model.needs_kvm and accelerator != "kvm":
        raise OptionError(f"CPU model '{name}' requires KVM or HVF")
    for feature in features.split(","):
        if feature:
            _check_feature(model.qom_type, feature)
    return name


def _check_feature(qom_type: str, written: str) -> None:
    if written[0] in "+-":
        name = _plain(written[1:])
        if name not in SWITCHES:
            raise OptionError(f"Property '{qom_type}.{name}' not found")
        return
    key, equals, value = written.partition("=")
    name, value = _plain(key), value if equals else "on"
    complaint = _complaint(qom_type, name, value)
    if complaint is not None:
        raise OptionError(f"can't apply global {qom_type}.{name}={value}: {complaint}")


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _complaint(qom_type: str, name: str, value: str) -> str | None:
    if name in SWITCHES:
        return None if value in flat_options.SWITCHES else f"Parameter '{name}' expects 'on' or 'off'"
    if name in NUMBERS:
        return None if _is_number(value) else f"Parameter '{name}' expects uint64"
    if name == "vendor" and len(value) != _VENDOR_LENGTH:
        return f"value of property 'vendor' must consist of exactly {_VENDOR_LENGTH} characters"
    return (
        None
        if name in TEXTS or name == "hv-no-nonarch-coresharing"
        else f"Property '{qom_type}.{name}' not found"
    )


def _is_number(value: str) -> bool:
    try:
        int(value, 0)
    except ValueError:
        return value[-1:] in "KMGkmg" and value[:-1].isdecimal()
    return True
