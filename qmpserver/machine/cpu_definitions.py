"""Know what each model of processors has: facts of QEMU 11.1.

A model is told by what it has beyond another, and what it lacks, so that a reader sees what it brought.
"""

import re
from collections.abc import Mapping
from functools import cache

from qmpserver.machine.cpu_models import CPU_MODELS

Value = bool | int | str
"""What a property can be."""

_WORD = re.compile(r'([-+])(\S+)|([^\s=]+)=("[^"]*"|\S+)')

_TABLE = """\
486-v1 < base : family=4 min-level=1 model=8 vendor="GenuineIntel" +fpu +hypervisor -legacy-cache +pse
pentium-v1 < 486-v1 : family=5 model=4 stepping=3 +apic +cx8 +de +mce +mmx +msr +tsc
pentium3-v1 < pentium-v1 : family=6 min-level=3 model=7 +cmov +fxsr +mca +mtrr +pae +pat +pge +pse36 +sep +sse
pentium2-v1 < pentium3-v1 : min-level=2 model=5 stepping=2 -sse
qemu32-v1 < pentium3-v1 : min-level=4 min-xlevel=2147483652 model=6 model-id="QEMU Virtual CPU version 2.5+"
  +legacy-cache -mca -mtrr +pni -pse36 +sse2
kvm32-v1 < qemu32-v1 : family=15 min-level=5 min-xlevel=2147483656 model-id="Common 32-bit KVM processor"
  stepping=1 +clflush +mca +mtrr +pse36
Opteron_G1-v1 < kvm32-v1 : model-id="AMD Opteron 240 (Gen 1 Class Opteron)" vendor="AuthenticAMD" +lm +nx
  +syscall
kvm64-v1 < Opteron_G1-v1 : min-level=13 model-id="Common KVM processor" vendor="GenuineIntel" +cx16
Opteron_G2-v1 < Opteron_G1-v1 : min-xlevel=2147483658 model-id="AMD Opteron 22xx (Gen 2 Class Opteron)" +cx16
  +lahf-lm +svm
qemu64-v1 < Opteron_G2-v1 : min-level=13 model=107 model-id="QEMU Virtual CPU version 2.5+"
Conroe-v1 < Opteron_G1-v1 : family=6 min-level=10 model=15
  model-id="Intel Celeron_4x0 (Conroe/Merom Class Core 2)" stepping=3 vendor="GenuineIntel" +lahf-lm +ssse3
Penryn-v1 < Conroe-v1 : model=23 model-id="Intel Core 2 Duo P9xxx (Penryn Class Core 2)" +cx16 +sse4.1
Nehalem-v1 < Penryn-v1 : min-level=11 model=26 model-id="Intel Core i7 9xx (Nehalem Class Core i7)" +popcnt
  +sse4.2
Nehalem-v2 < Nehalem-v1 : model-id="Intel Core i7 9xx (Nehalem Core i7, IBRS update)" +spec-ctrl
core2duo-v1 < Conroe-v1 : model-id="Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz" stepping=11 +acpi +cx16
  +monitor +ss
Westmere-v1 < Nehalem-v1 : model=44 model-id="Westmere E56xx/L56xx/X56xx (Nehalem-C)" stepping=1 +aes +arat
  +pclmulqdq
Westmere-v2 < Westmere-v1 : model-id="Westmere E56xx/L56xx/X56xx (IBRS update)" +spec-ctrl
n270-v1 < core2duo-v1 : model=28 model-id="Intel(R) Atom(TM) CPU N270   @ 1.60GHz" stepping=2 -cx16 -lm +movbe
  -pse36 -syscall
coreduo-v1 < n270-v1 : model=14 model-id="Genuine Intel(R) CPU           T2600  @ 2.16GHz" stepping=8 -lahf-lm
  -movbe -ssse3
SandyBridge-v1 < Westmere-v1 : min-level=13 model=42 model-id="Intel Xeon E312xx (Sandy Bridge)" +avx +rdtscp
  +tsc-deadline +x2apic +xsave +xsaveopt
SandyBridge-v2 < SandyBridge-v1 : model-id="Intel Xeon E312xx (Sandy Bridge, IBRS update)" +spec-ctrl
IvyBridge-v1 < SandyBridge-v1 : model=58 model-id="Intel Xeon E3-12xx v2 (Ivy Bridge)" stepping=9 +erms +f16c
  +fsgsbase +rdrand +smep
IvyBridge-v2 < IvyBridge-v1 : model-id="Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)" +spec-ctrl
athlon-v1 < pentium3-v1 : min-level=2 min-xlevel=2147483656 model=2 model-id="QEMU Virtual CPU version 2.5+"
  vendor="AuthenticAMD" +3dnow +3dnowext +legacy-cache +mmxext +sse2
Opteron_G3-v1 < Opteron_G2-v1 : family=16 model=2 model-id="AMD Opteron 23xx (Gen 3 Class Opteron)" stepping=3
  +abm +misalignsse +monitor +popcnt +rdtscp +sse4a
phenom-v1 < Opteron_G3-v1 : min-xlevel=2147483674 model-id="AMD Phenom(tm) 9550 Quad-Core Processor" +3dnow
  +3dnowext +fxsr-opt -misalignsse +mmxext +npt +pdpe1gb
Haswell-v2 < IvyBridge-v1 : model=60 model-id="Intel Core Processor (Haswell, no TSX)" stepping=1 +abm +avx2
  +bmi1 +bmi2 +fma +invpcid +movbe +pcid
Haswell-v4 < Haswell-v2 : model-id="Intel Core Processor (Haswell, no TSX, IBRS)" +spec-ctrl
Haswell-v1 < Haswell-v2 : model-id="Intel Core Processor (Haswell)" stepping=4 +hle +rtm
Haswell-v3 < Haswell-v1 : model-id="Intel Core Processor (Haswell, IBRS)" +spec-ctrl
Broadwell-v1 < Haswell-v1 : model=61 model-id="Intel Core Processor (Broadwell)" stepping=2 +3dnowprefetch +adx
  +rdseed +smap
Broadwell-v3 < Broadwell-v1 : model-id="Intel Core Processor (Broadwell, IBRS)" +spec-ctrl
Broadwell-v2 < Broadwell-v1 : model-id="Intel Core Processor (Broadwell, no TSX)" -hle -rtm
Broadwell-v4 < Broadwell-v2 : model-id="Intel Core Processor (Broadwell, no TSX, IBRS)" +spec-ctrl
Skylake-Client-v1 < Broadwell-v1 : model=94 model-id="Intel Core Processor (Skylake)" stepping=3 +xgetbv1
  +xsavec
Skylake-Client-v2 < Skylake-Client-v1 : model-id="Intel Core Processor (Skylake, IBRS)" +spec-ctrl
Skylake-Client-v3 < Skylake-Client-v2 : model-id="Intel Core Processor (Skylake, IBRS, no TSX)" -hle -rtm
Skylake-Client-v4 < Skylake-Client-v3 : +xsaves
Skylake-Server-v2 < Skylake-Client-v2 : model=85 model-id="Intel Xeon Processor (Skylake, IBRS)" stepping=4
  +avx512bw +avx512cd +avx512dq +avx512f +avx512vl +clwb +pdpe1gb +pku
Skylake-Server-v1 < Skylake-Server-v2 : model-id="Intel Xeon Processor (Skylake)" +clflushopt -spec-ctrl
Skylake-Server-v3 < Skylake-Server-v2 : model-id="Intel Xeon Processor (Skylake, IBRS, no TSX)" -hle -rtm
Skylake-Server-v4 < Skylake-Server-v3 :
Skylake-Server-v5 < Skylake-Server-v3 : +xsaves
Skylake-Server-v6 < Skylake-Server-v5 :
Cascadelake-Server-v1 < Skylake-Server-v2 : model-id="Intel Xeon Processor (Cascadelake)" stepping=6 +avx512vnni
  +clflushopt +ssbd
Cascadelake-Server-v2 < Cascadelake-Server-v1 : +arch-capabilities +ibrs-all +mds-no +rdctl-no
  +skip-l1dfl-vmentry
Cascadelake-Server-v3 < Cascadelake-Server-v2 : -hle -rtm
Cascadelake-Server-v4 < Cascadelake-Server-v3 :
Cascadelake-Server-v5 < Cascadelake-Server-v3 : +xsaves
Cascadelake-Server-v6 < Cascadelake-Server-v5 : +fb-clear +gds-no +psdp-no +rfds-no +sbdr-ssdp-no
Cascadelake-Server-v7 < Cascadelake-Server-v6 :
Cooperlake-v1 < Cascadelake-Server-v2 : level-func7=1 model-id="Intel Xeon Processor (Cooperlake)" stepping=10
  +avx512-bf16 +pschange-mc-no +stibp +taa-no
Cooperlake-v2 < Cooperlake-v1 : +xsaves
Icelake-Server-v1 < Cascadelake-Server-v1 : model=134 model-id="Intel Xeon Processor (Icelake)" stepping=0
  +avx512-vpopcntdq +avx512bitalg +avx512vbmi +avx512vbmi2 +gfni +la57 +umip +vaes +vpclmulqdq +wbnoinvd
Icelake-Server-v2 < Icelake-Server-v1 : -hle -rtm
Icelake-Server-v3 < Icelake-Server-v2 : +arch-capabilities +ibrs-all +mds-no +pschange-mc-no +rdctl-no
  +skip-l1dfl-vmentry +taa-no
Icelake-Server-v4 < Icelake-Server-v3 : model=106 +avx512ifma +fsrm +rdpid +sha-ni
Icelake-Server-v5 < Icelake-Server-v4 : +xsaves
Icelake-Server-v6 < Icelake-Server-v5 :
Icelake-Server-v7 < Icelake-Server-v5 : +hle +rtm
Icelake-Server-v8 < Icelake-Server-v7 : +fb-clear +gds-no +psdp-no +rfds-no +sbdr-ssdp-no
Icelake-Server-v9 < Icelake-Server-v8 :
KnightsMill-v1 < Broadwell-v2 : model=133 model-id="Intel Xeon Phi Processor (Knights Mill)" stepping=0
  +avx512-4fmaps +avx512-4vnniw +avx512-vpopcntdq +avx512cd +avx512er +avx512f +avx512pf -invpcid -pcid +pdpe1gb
  -smap +ss
SapphireRapids-v1 < Icelake-Server-v7 : level-func7=1 min-level=32 model=143
  model-id="Intel Xeon Processor (SapphireRapids)" stepping=4 +amx-bf16 +amx-int8 +amx-tile +avx-vnni
  +avx512-bf16 +avx512-fp16 +bus-lock-detect +fsrc +fsrs +fzrm +serialize +tsx-ldtrk +xfd
SapphireRapids-v2 < SapphireRapids-v1 : +fbsdp-no +psdp-no +sbdr-ssdp-no
SapphireRapids-v3 < SapphireRapids-v2 : +cldemote +movdir64b +movdiri +ss +tsc-adjust
SapphireRapids-v4 < SapphireRapids-v3 : -legacy-cache +x-force-cpuid-0x1f
SapphireRapids-v5 < SapphireRapids-v4 : +cet-ibt +cet-ss
SapphireRapids-v6 < SapphireRapids-v5 : +its-no
SapphireRapids-v7 < SapphireRapids-v6 : +gds-no +rfds-no
SapphireRapids-v8 < SapphireRapids-v7 :
GraniteRapids-v1 < SapphireRapids-v2 : level-func7=2 model=173 model-id="Intel Xeon Processor (GraniteRapids)"
  stepping=0 +amx-fp16 +mcdt-no +pbrsb-no +prefetchiti
GraniteRapids-v2 < GraniteRapids-v1 : avx10-version=1 min-level=36 stepping=1 +avx10 +avx10-128 +avx10-256
  +avx10-512 +cldemote +movdir64b +movdiri +ss +tsc-adjust
GraniteRapids-v3 < GraniteRapids-v2 : -legacy-cache +x-force-cpuid-0x1f
GraniteRapids-v4 < GraniteRapids-v3 : +cet-ibt +cet-ss
GraniteRapids-v5 < GraniteRapids-v4 : +its-no
GraniteRapids-v6 < GraniteRapids-v5 : +gds-no +rfds-no
GraniteRapids-v7 < GraniteRapids-v6 :
Denverton-v2 < IvyBridge-v2 : min-level=21 model=95 model-id="Intel Atom Processor (Denverton)" stepping=1
  +3dnowprefetch +arch-capabilities -avx +clflushopt -f16c +movbe +pdpe1gb +rdctl-no +rdseed +sha-ni
  +skip-l1dfl-vmentry +smap +ssbd +xgetbv1 +xsavec
Denverton-v3 < Denverton-v2 : +xsaves
Denverton-v1 < Denverton-v2 : +monitor +mpx
Snowridge-v4 < Denverton-v3 : min-level=27 model=134 model-id="Intel Atom Processor (Snowridge, no MPX)"
  +cldemote +clwb +gfni +monitor +movdir64b +movdiri -rdctl-no -skip-l1dfl-vmentry +umip
Snowridge-v3 < Snowridge-v4 : +core-capability +split-lock-detect
Snowridge-v2 < Snowridge-v3 : -xsaves
Snowridge-v1 < Snowridge-v2 : model-id="Intel Atom Processor (SnowRidge)" +mpx
Opteron_G4-v1 < SandyBridge-v1 : family=21 min-xlevel=2147483674 model=1 model-id="AMD Opteron 62xx class CPU"
  stepping=2 vendor="AuthenticAMD" +3dnowprefetch +abm -arat +fma4 +misalignsse +npt +nrip-save +pdpe1gb +sse4a
  +svm -tsc-deadline -x2apic +xop -xsaveopt
Opteron_G5-v1 < Opteron_G4-v1 : model=2 model-id="AMD Opteron 63xx class CPU" stepping=0 +f16c +fma +tbm
EPYC-v1 < Broadwell-v2 : family=23 min-xlevel=2147483678 model=1 model-id="AMD EPYC Processor"
  vendor="AuthenticAMD" +clflushopt +cr8legacy -erms +fxsr-opt -invpcid -legacy-cache +misalignsse +mmxext
  +monitor +npt +nrip-save +osvw -pcid +pdpe1gb +sha-ni +sse4a +svm +topoext -tsc-deadline -x2apic +xgetbv1
  +xsavec
EPYC-v2 < EPYC-v1 : model-id="AMD EPYC Processor (with IBPB)" +ibpb
EPYC-v3 < EPYC-v1 : +clzero +ibpb +perfctr-core +xsaveerptr +xsaves
EPYC-v4 < EPYC-v3 : model-id="AMD EPYC-v4 Processor"
Dhyana-v1 < EPYC-v2 : family=24 model=0 model-id="Hygon Dhyana Processor" stepping=1 vendor="HygonGenuine" -aes
  -pclmulqdq -sha-ni
Dhyana-v2 < Dhyana-v1 : +xsaves
EPYC-Rome-v1 < EPYC-v3 : model=49 model-id="AMD EPYC-Rome Processor" stepping=0 +amd-stibp +clwb +rdpid +umip
  +wbnoinvd
EPYC-Rome-v2 < EPYC-Rome-v1 : +amd-ssbd +ibrs
EPYC-Rome-v3 < EPYC-Rome-v2 : model-id="AMD EPYC-Rome-v3 Processor"
EPYC-Rome-v4 < EPYC-Rome-v2 : model-id="AMD EPYC-Rome-v4 Processor (no XSAVES)" -xsaves
EPYC-Milan-v1 < EPYC-Rome-v2 : family=25 model=1 model-id="AMD EPYC-Milan Processor" stepping=1 +erms +fsrm
  +invpcid +pcid +pku +svme-addr-chk
EPYC-Milan-v2 < EPYC-Milan-v1 : min-xlevel=2147483681 model-id="AMD EPYC-Milan-v2 Processor" +amd-psfd
  +lfence-always-serializing +no-nested-data-bp +null-sel-clr-base +stibp-always-on +vaes +vpclmulqdq
EPYC-Milan-v3 < EPYC-Milan-v2 : model-id="AMD EPYC-Milan-v3 Processor" +flushbyasid +lbrv +overflow-recov
  +pause-filter +pfthreshold +succor +tsc-scale +v-vmsave-vmload +vgif +vmcb-clean
EPYC-Milan-v4 < EPYC-Milan-v3 : model-id="AMD EPYC-Milan-v4 Processor" +gmet
EPYC-v5 < EPYC-v3 : model-id="AMD EPYC-v5 Processor" +flushbyasid +lbrv +overflow-recov +pause-filter
  +pfthreshold +succor +tsc-scale +v-vmsave-vmload +vgif +vmcb-clean
EPYC-Rome-v5 < EPYC-Rome-v4 : model-id="AMD EPYC-Rome-v5 Processor" +flushbyasid +lbrv +overflow-recov
  +pause-filter +pfthreshold +succor +tsc-scale +v-vmsave-vmload +vgif +vmcb-clean
EPYC-Genoa-v1 < EPYC-Milan-v2 : level-func7=1 min-xlevel=2147483682 model=17 model-id="AMD EPYC-Genoa Processor"
  stepping=0 +auto-ibrs +avx512-bf16 +avx512-vpopcntdq +avx512bitalg +avx512bw +avx512cd +avx512dq +avx512f
  +avx512ifma +avx512vbmi +avx512vbmi2 +avx512vl +avx512vnni +gfni +la57 +vnmi
EPYC-Genoa-v2 < EPYC-Genoa-v1 : model-id="AMD EPYC-Genoa-v2 Processor" +flushbyasid +fs-gs-base-ns +lbrv
  +overflow-recov +pause-filter +perfmon-v2 +pfthreshold +succor +tsc-scale +v-vmsave-vmload +vgif +vmcb-clean
EPYC-Genoa-v3 < EPYC-Genoa-v2 : model-id="AMD EPYC-Genoa-v3 Processor" +gmet
EPYC-Turin-v1 < EPYC-Genoa-v2 : family=26 model=0 model-id="AMD EPYC-Turin Processor" +avx-vnni
  +avx512-vp2intersect +ibpb-brtype +movdir64b +movdiri +prefetchi +sbpb +srso-user-kernel-no
EPYC-Turin-v2 < EPYC-Turin-v1 : model-id="AMD EPYC-Turin-v2 Processor" +gmet
SierraForest-v1 < Icelake-Server-v5 : level-func7=2 min-level=35 model=175
  model-id="Intel Xeon Processor (SierraForest)" +avx-ifma +avx-ne-convert +avx-vnni +avx-vnni-int8
  -avx512-vpopcntdq -avx512bitalg -avx512bw -avx512cd -avx512dq -avx512f -avx512ifma -avx512vbmi -avx512vbmi2
  -avx512vl -avx512vnni +bus-lock-detect +cmpccxadd +fbsdp-no +fsrs -la57 +mcdt-no +pbrsb-no +psdp-no
  +sbdr-ssdp-no +serialize -taa-no
SierraForest-v2 < SierraForest-v1 : stepping=3 +bhi-ctrl +cldemote +gds-no +intel-psfd +ipred-ctrl +lam
  +movdir64b +movdiri +rfds-no +rrsba-ctrl +ss +tsc-adjust
SierraForest-v3 < SierraForest-v2 : -legacy-cache +x-force-cpuid-0x1f
SierraForest-v4 < SierraForest-v3 : +cet-ibt +cet-ss
SierraForest-v5 < SierraForest-v4 : +its-no
SierraForest-v6 < SierraForest-v5 :
ClearwaterForest-v1 < SierraForest-v2 : model=221 model-id="Intel Xeon Processor (ClearwaterForest)" stepping=0
  +avx-vnni-int16 +bhi-no +ddpd-u +prefetchiti +sha512 +sm3 +sm4
ClearwaterForest-v2 < ClearwaterForest-v1 : +cet-ibt +cet-ss
ClearwaterForest-v3 < ClearwaterForest-v2 : +its-no -legacy-cache +x-force-cpuid-0x1f
ClearwaterForest-v4 < ClearwaterForest-v3 :
YongFeng-v1 < Broadwell-v4 : family=7 min-level=31 min-xlevel2=3221225473 model=11
  model-id="Zhaoxin YongFeng Processor" stepping=3 vendor="CentaurHauls" +ace2 +acpi -arat +arch-capabilities
  -erms +invtsc +mds-no +monitor +pdpe1gb +phe +phe-en +pku +pmm +pmm-en +pschange-mc-no +rdctl-no +rdpid
  +sha-ni +skip-l1dfl-vmentry +ss +ssb-no +umip +xcrypt +xcrypt-en +xstore +xstore-en
YongFeng-v2 < YongFeng-v1 : model=91
YongFeng-v3 < YongFeng-v2 : -legacy-cache +x-force-cpuid-0x1f
max < EPYC-Rome-v1 : family=0 level-func7=1 min-xlevel=2147483681 model=0 model-id="QEMU TCG CPU version 2.5+"
  +3dnow +3dnowext +acpi -amd-stibp -clzero +cmp-legacy +cmpccxadd +erms +fsrc +fsrm +fsrs -fxsr-opt +fzrm -ibpb
  +la57 +legacy-cache +migratable -misalignsse +mpx +no-nested-data-bp -nrip-save +null-sel-clr-base -osvw
  -perfctr-core +pks +pku +ss +svme-addr-chk -topoext +vaes +vgif +x2apic -xsavec -xsaves
DiamondRapids-v1 < GraniteRapids-v6 : avx10-version=2 family=19 min-level=41 model=1
  model-id="Intel Xeon Processor (DiamondRapids)" stepping=0 +amx-avx512 +amx-bf16-alias +amx-complex
  +amx-complex-alias +amx-fp16-alias +amx-fp8 +amx-int8-alias +amx-movrs +amx-tf32 +apx-nci-ndd-nf +apxf
  +avx-ifma +avx-ne-convert +avx-vnni-int8 +avx10-vnni-int +bhi-ctrl +bhi-no +cmpccxadd +ddpd-u +fdp-excptn-only
  +flush-l1d +fred +intel-psfd +ipred-ctrl -its-no +lam +legacy-cache +lkgs +md-clear +movrs +rrsba-ctrl +stibp
  +wrmsrns +zero-fcs-fds
DiamondRapids-v2 < DiamondRapids-v1 :
"""
"""One model a paragraph: its name, the other's, numbers and texts that differ, features it has and has not."""


@cache
def definition(model: str) -> Mapping[str, Value]:
    """Return what a model has that the model `base` has otherwise, by name of the property.

    Args:
        model: The name of a model.
    """
    if model == "base":
        return {}
    entry = CPU_MODELS[model]
    if entry.needs_kvm:
        return definition("max")
    if entry.alias_of is not None:
        return definition(entry.alias_of)
    other, changes = _changes()[model]
    return {**definition(other), **changes}


@cache
def _changes() -> Mapping[str, tuple[str, Mapping[str, Value]]]:
    found = {}
    for paragraph in re.split(r"\n(?! )", _TABLE.rstrip()):
        names, _, words = paragraph.partition(" :")
        model, _, other = names.partition(" < ")
        found[model] = (other, dict(_property(word) for word in _WORD.finditer(words)))
    return found


def _property(word: re.Match[str]) -> tuple[str, Value]:
    sign, switch, name, value = word.groups()
    if sign is not None:
        return switch, sign == "+"
    return name, value[1:-1] if value.startswith('"') else int(value)
