"""Know the names of processors: facts of QEMU 11.1.  Nothing here runs on one."""

from collections.abc import Mapping
from dataclasses import dataclass

SUFFIX = "-x86_64-cpu"
"""What follows on a model's name in the name of its type."""

_BY_VERSIONS = {
    1: (
        "qemu64 qemu32 phenom pentium3 pentium2 pentium n270 kvm64 kvm32 coreduo core2duo athlon 486 Conroe Penryn "
        "KnightsMill Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5"
    ),
    2: "Westmere SandyBridge Nehalem IvyBridge EPYC-Turin DiamondRapids Dhyana Cooperlake",
    3: "YongFeng EPYC-Genoa Denverton",
    4: "Snowridge Skylake-Client Haswell EPYC-Milan ClearwaterForest Broadwell",
    5: "EPYC EPYC-Rome",
    6: "Skylake-Server SierraForest",
    7: "GraniteRapids Cascadelake-Server",
    8: "SapphireRapids",
    9: "Icelake-Server",
}

_VERSIONS: Mapping[str, int] = {
    name: versions for versions, names in _BY_VERSIONS.items() for name in names.split()
}
"""How many versions of each model there are; its plain name means the first."""

_OTHER_NAMES = {
    "Westmere-IBRS": "Westmere-v2",
    "Skylake-Server-noTSX-IBRS": "Skylake-Server-v3",
    "Skylake-Server-IBRS": "Skylake-Server-v2",
    "Skylake-Client-noTSX-IBRS": "Skylake-Client-v3",
    "Skylake-Client-IBRS": "Skylake-Client-v2",
    "SandyBridge-IBRS": "SandyBridge-v2",
    "Nehalem-IBRS": "Nehalem-v2",
    "IvyBridge-IBRS": "IvyBridge-v2",
    "Icelake-Server-noTSX": "Icelake-Server-v2",
    "Haswell-noTSX-IBRS": "Haswell-v4",
    "Haswell-noTSX": "Haswell-v2",
    "Haswell-IBRS": "Haswell-v3",
    "EPYC-IBPB": "EPYC-v2",
    "Cascadelake-Server-noTSX": "Cascadelake-Server-v3",
    "Broadwell-noTSX-IBRS": "Broadwell-v4",
    "Broadwell-noTSX": "Broadwell-v2",
    "Broadwell-IBRS": "Broadwell-v3",
}
"""Names of versions that are no numbers."""


@dataclass(frozen=True, slots=True)
class CpuModel:
    """A model of processors.

    Attributes:
        name: Its name.
        alias_of: The version that the name stands for, or None.
        is_migration_safe: It means the same wherever it is used.
        is_static: It means the same in every version of QEMU.
        needs_kvm: It is whatever the host has.
    """

    name: str
    alias_of: str | None = None
    is_migration_safe: bool = True
    is_static: bool = False
    needs_kvm: bool = False

    @property
    def qom_type(self) -> str:
        """The type of its objects."""
        return self.name + SUFFIX


def _make_models() -> list[CpuModel]:
    models = [
        CpuModel("max", is_migration_safe=False),
        CpuModel("host", is_migration_safe=False, needs_kvm=True),
        CpuModel("base", is_static=True),
    ]
    for name, versions in _VERSIONS.items():
        models += (CpuModel(f"{name}-v{version}") for version in range(1, versions + 1))
        models.append(CpuModel(name, alias_of=f"{name}-v1"))
    models += (CpuModel(name, alias_of=version) for name, version in _OTHER_NAMES.items())
    return models


CPU_MODELS = {model.name: model for model in _make_models()}
"""Every model by name."""
