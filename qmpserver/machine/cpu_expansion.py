"""Say what a model of processors comes to, all properties told: what ``query-cpu-model-expansion`` answers."""

from collections.abc import Mapping
from typing import Any

from qmpserver.errors import ParameterError, QMPError
from qmpserver.machine.cpu_definitions import Value, definition
from qmpserver.machine.cpu_features import NUMBERS, SWITCHES, TEXTS
from qmpserver.machine.cpu_models import CPU_MODELS, CpuModel

_OTHER_SPELLINGS: Mapping[str, str] = {
    "sse3": "pni",
    "sse4-1": "sse4.1",
    "sse4-2": "sse4.2",
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
    "ffxsr": "fxsr-opt",
    "i64": "lm",
    "xd": "nx",
    "pclmuldq": "pclmulqdq",
    "hv-avic": "hv-apicv",
    **{
        name.replace("-", "_"): name
        for name in [
            "cmp-legacy",
            "ds-cpl",
            "fxsr-opt",
            "kvm-asyncpf",
            "kvm-asyncpf-int",
            "kvm-mmu",
            "kvm-nopiodelay",
            "kvm-poll-control",
            "kvm-pv-eoi",
            "kvm-pv-unhalt",
            "kvm-steal-time",
            "lahf-lm",
            "lbr-fmt",
            "nodeid-msr",
            "nrip-save",
            "pause-filter",
            "perfctr-core",
            "perfctr-nb",
            "svm-lock",
            "tsc-adjust",
            "tsc-scale",
            "vmcb-clean",
        ]
    },
}
"""Names that mean the same as others."""

_LEVELS = ("level", "xlevel", "xlevel2")
"""Each is as its least unless it is said otherwise."""

_READ_ONLY = frozenset(
    [
        "crash-information",
        "feature-words",
        "filtered-features",
        "hotpluggable",
        "hotplugged",
        "memory",
        "realized",
        "type",
        "unavailable-features",
    ]
)
"""What is no part of a model."""

_ONLY_WHAT_THE_HOST_HAS = frozenset(("host-cache-info", "migratable"))
"""Properties of models that are whatever there is."""

_NOT_STATIC = frozenset(
    [
        "apic-id",
        "avx10-version",
        "check",
        "core-id",
        "cpuid-0xb",
        "die-id",
        "enforce",
        "fill-mtrr-mask",
        "guest-phys-bits",
        "host-cache-info",
        "host-phys-bits",
        "host-phys-bits-limit",
        "kvm",
        "kvm-pv-enforce-cpuid",
        "l3-cache",
        "lbr-fmt",
        "legacy-cache",
        "legacy-multi-node",
        "level-func7",
        "memory",
        "migratable",
        "min-xlevel2",
        "module-id",
        "node-id",
        "phys-bits",
        "pmu",
        "realized",
        "socket-id",
        "start-powered-off",
        "tcg-cpuid",
        "thread-id",
        "tsc-frequency",
        "ucode-rev",
        "vmware-cpuid-freq",
        "xen-vapic",
    ]
)
"""What a static expansion leaves out, apart from what begins with ``hv-`` or ``x-``: it is not the model's."""

_ON = frozenset(
    [
        "check",
        "cpuid-0xb",
        "fill-mtrr-mask",
        "kvm",
        "l3-cache",
        "legacy-cache",
        "tcg-cpuid",
        "vmware-cpuid-freq",
        "x-amd-topoext-features-only",
        "x-consistent-cache",
        "x-l1-cache-per-thread",
        "x-migrate-error-code",
        "x-migrate-smi-count",
        "x-vendor-cpuid-only",
        "x-vendor-cpuid-only-v2",
    ]
)
"""What is on unless a model says otherwise."""

_PLACES = frozenset(("core-id", "die-id", "module-id", "node-id", "socket-id", "thread-id", "x-hv-max-vps"))
"""Numbers that may be -1, for not known, and are."""

_USUAL: Mapping[str, Value] = {
    "apic-id": 0xFFFFFFFF,
    "guest-phys-bits": 0xFFFFFFFF,
    "hv-no-nonarch-coresharing": "off",
    "hv-spinlocks": 0xFFFFFFFF,
    "hv-version-id-build": 14393,
    "hv-version-id-major": 10,
    "lbr-fmt": 0xFFFFFFFFFFFFFFC0,
    "memory": "/machine/unattached/system[0]",
}
"""Other values that are neither off, nor 0, nor empty."""

_MOST: Mapping[str, int] = {"family": 270, "model": 255, "stepping": 15, "tsc-frequency": (1 << 63) - 1}
_BITS: Mapping[str, int] = {
    "avx10-version": 8,
    "host-phys-bits-limit": 8,
    "hv-version-id-major": 16,
    "hv-version-id-minor": 16,
    "hv-version-id-sbranch": 8,
    "lbr-fmt": 64,
    "ucode-rev": 64,
}
_VENDOR_LENGTH = 12


def expand(model: CpuModel, kind: str, changes: Any) -> dict[str, Any]:
    """Return what a model comes to, a ``CpuModelInfo``.

    Features that go with others, and levels that follow from features, are left as the model has them.

    Args:
        model: The model.
        kind: `static`, told as the model that never changes and what the other has besides, or `full`, with
            all that can be said of it and all spellings.
        changes: What is to be otherwise, by name; None when nothing is.

    Raises:
        ParameterError: A value is of the wrong type, or out of range.
        QMPError: There is no such property.
    """
    values = _all_values(model)
    if changes is not None and not isinstance(changes, dict):
        raise ParameterError("Invalid parameter type for 'model.props', expected: object")
    for name, value in (changes or {}).items():
        plain = _OTHER_SPELLINGS.get(name, name)
        if name in _READ_ONLY:
            raise QMPError(f"Property '{model.qom_type}.{name}' is not writable")
        if plain not in values:
            raise QMPError(f"Property '{model.qom_type}.{name}' not found")
        _check(name, values[plain], value)
        values[plain] = value
    for name in _LEVELS:
        if name not in (changes or {}):
            values[name] = values[f"min-{name}"]
    if kind == "static":
        return {"name": "base", "props": {name: value for name, value in values.items() if _is_static(name)}}
    spelled = {name: values[plain] for name, plain in _OTHER_SPELLINGS.items()}
    return {"name": model.name, "props": values | spelled}


def find_model(name: str) -> CpuModel:
    """Return a model by name.

    Raises:
        QMPError: There is none.
    """
    model = CPU_MODELS.get(name)
    if model is None:
        raise QMPError(f"CPU model '{name}' not found")
    return model


def _all_values(model: CpuModel) -> dict[str, Value]:
    values = _usual_values() | dict(definition(model.name))
    if model.name in ("max", "host"):
        return values
    return {name: value for name, value in values.items() if name not in _ONLY_WHAT_THE_HOST_HAS}


def _usual_values() -> dict[str, Value]:
    """Return the properties of the model that has nothing, but for other spellings."""
    names = (SWITCHES | {"realized", "start-powered-off"}) - _OTHER_SPELLINGS.keys()
    values: dict[str, Value] = {name: name in _ON for name in names}
    values |= {name: -1 if name in _PLACES else 0 for name in NUMBERS - _OTHER_SPELLINGS.keys()}
    return values | dict.fromkeys(TEXTS, "") | dict(_USUAL)


def _is_static(name: str) -> bool:
    return name not in _NOT_STATIC and name not in _LEVELS and not name.startswith(("hv-", "x-"))


# What a property can be


def _check(name: str, usual: Value, value: Any) -> None:
    where = f"model.props.{name}"
    if isinstance(usual, bool):
        if not isinstance(value, bool):
            raise ParameterError(f"Invalid parameter type for '{where}', expected: boolean")
    elif isinstance(usual, int):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ParameterError(f"Parameter '{where}' expects uint64")
        _check_range(name, value)
    elif not isinstance(value, str):
        raise ParameterError(f"Invalid parameter type for '{where}', expected: string")
    elif name == "vendor" and len(value) != _VENDOR_LENGTH:
        raise QMPError(f"value of property 'vendor' must consist of exactly {_VENDOR_LENGTH} characters")
    elif name == "hv-no-nonarch-coresharing" and value not in ("on", "off", "auto"):
        raise ParameterError(f"Parameter '{name}' does not accept value '{value}'")


def _check_range(name: str, value: int) -> None:
    if name in _MOST:
        if not 0 <= value <= _MOST[name]:
            raise QMPError(f"parameter '{name}' can be at most {_MOST[name]}")
        return
    bits = _BITS.get(name, 32)
    least, bound = (-1 << 31, 1 << 31) if name in _PLACES else (0, 1 << bits)
    if not least <= value < bound:
        raise ParameterError(
            f"Parameter '{name}' expects {'int32_t' if name in _PLACES else f'uint{bits}_t'}"
        )
