"""Show what the machine is and how it fares: ``info status``, ``info name``, ``info cpus`` and others."""

from collections.abc import Iterable, Mapping
from typing import Any

from qmpserver.machine.cpu_models import SUFFIX
from qmpserver.machine.hmp.command import Arguments, Function, HumanCommand
from qmpserver.machine.hmp.parameters import optional, text
from qmpserver.machine.hmp.session import HumanSession


def always(said: str) -> Function:
    """Return what always says the same: there is nothing of the kind here."""

    async def run(session: HumanSession, arguments: Arguments) -> str:
        del session, arguments
        return said

    return run


def on_off(value: object) -> str:
    """Write what is on or off, or is a value of another kind."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


async def _status(session: HumanSession, _arguments: Arguments) -> str:
    status = await session.call("query-status")
    # The reason of a machine that does not run is no news when somebody has stopped it.
    is_plain = status["running"] or status["status"] == "paused"
    state = "running" if status["running"] else "paused"
    return f"VM status: {state}{'' if is_plain else ' (' + status['status'] + ')'}\n"


async def _version(session: HumanSession, _arguments: Arguments) -> str:
    version = await session.call("query-version")
    qemu = version["qemu"]
    return f"{qemu['major']}.{qemu['minor']}.{qemu['micro']}{version['package']}\n"


async def _name(session: HumanSession, _arguments: Arguments) -> str:
    name = (await session.call("query-name")).get("name")
    return f"{name}\n" if name is not None else ""


async def _uuid(session: HumanSession, _arguments: Arguments) -> str:
    return f"{(await session.call('query-uuid'))['UUID']}\n"


async def _kvm(session: HumanSession, _arguments: Arguments) -> str:
    kvm = await session.call("query-kvm")
    if not kvm["present"]:
        return "kvm support: not compiled\n"
    return f"kvm support: {'enabled' if kvm['enabled'] else 'disabled'}\n"


async def _accelerators(session: HumanSession, _arguments: Arguments) -> str:
    found = await session.call("query-accelerators")
    return " ".join(f"[{name}]" if name == found["enabled"] else name for name in found["present"]) + "\n"


async def _balloon(session: HumanSession, _arguments: Arguments) -> str:
    balloon = await session.call("query-balloon")
    return f"balloon: actual={balloon['actual'] >> 20}\n"


async def _chardev(session: HumanSession, _arguments: Arguments) -> str:
    chardevs = await session.call("query-chardev")
    return "".join(f"{each['label']}: filename={each['filename']}\n" for each in chardevs)


async def _cpus(session: HumanSession, _arguments: Arguments) -> str:
    cpus = await session.call("query-cpus-fast")
    return "".join(map(_cpu_line, cpus))


def _cpu_line(cpu: Mapping[str, Any]) -> str:
    mark = " " if cpu["cpu-index"] else "*"
    model = cpu["qom-type"].removesuffix(SUFFIX)
    return f"{mark} CPU #{cpu['cpu-index']}: thread_id={cpu['thread-id']} model={model}\n"


async def _hotpluggable_cpus(session: HumanSession, _arguments: Arguments) -> str:
    places = await session.call("query-hotpluggable-cpus")
    return "".join(["Hotpluggable CPUs:\n", *map(_place_text, places)])


def _place_text(place: Mapping[str, Any]) -> str:
    lines = [f'  type: "{place["type"]}"', f'  vcpus_count: "{place["vcpus-count"]}"']
    if "qom-path" in place:
        lines.append(f'  qom_path: "{place["qom-path"]}"')
    members = ("node-id", "drawer-id", "book-id", "socket-id", "die-id", "cluster-id", "module-id", "core-id")
    props = place["props"]
    shown = [f'    {name}: "{props[name]}"' for name in (*members, "thread-id") if name in props]
    return "\n".join([*lines, "  CPUInstance Properties:", *shown]) + "\n"


async def _iothreads(session: HumanSession, _arguments: Arguments) -> str:
    return "".join(map(_iothread_text, await session.call("query-iothreads")))


def _iothread_text(iothread: Mapping[str, Any]) -> str:
    members = ("poll-max-ns", "poll-grow", "poll-shrink", "poll-weight", "aio-max-batch")
    lines = [f"{iothread['id']}:", f"  thread_id={iothread['thread-id']}"]
    return "\n".join([*lines, *(f"  {name}={iothread[name]}" for name in members)]) + "\n"


async def _memdev(session: HumanSession, _arguments: Arguments) -> str:
    return "".join(map(_memdev_text, await session.call("query-memdev"))) + "\n"


def _memdev_text(memory: Mapping[str, Any]) -> str:
    members = ("merge", "dump", "prealloc", "share", "reserve", "policy")
    shown = [f"  size:  {memory['size']}"]
    shown += [f"  {name}: {_word(memory[name])}" for name in members if name in memory]
    nodes = ",".join(map(str, memory["host-nodes"]))
    return "\n".join([f"memory backend: {memory.get('id', '')}", *shown, f"  host nodes: {nodes}"]) + "\n"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _memory_size(session: HumanSession, _arguments: Arguments) -> str:
    summary = await session.call("query-memory-size-summary")
    return f"base memory: {summary['base-memory']}\nplugged memory: {summary['plugged-memory']}\n"


async def _mice(session: HumanSession, _arguments: Arguments) -> str:
    mice: Iterable[Mapping[str, Any]] = await session.call("query-mice")
    return "".join(map(_mouse_line, mice)) or "No mouse devices connected\n"


def _mouse_line(mouse: Mapping[str, Any]) -> str:
    kind = " (absolute)" if mouse["absolute"] else ""
    return f"{'*' if mouse['current'] else ' '} Mouse #{mouse['index']}: {mouse['name']}{kind}\n"


async def _dump(session: HumanSession, _arguments: Arguments) -> str:
    return f"Status: {(await session.call('query-dump'))['status']}\n"


async def _generation_id(session: HumanSession, _arguments: Arguments) -> str:
    return f"{(await session.call('query-vm-generation-id'))['guid']}\n"


async def _stats(session: HumanSession, arguments: Arguments) -> str:
    del session
    target = arguments["target"]
    # Nothing is counted of a guest.
    return "" if target in ("vm", "vcpu", "cryptodev") else f"invalid stats target {target}\n"


async def _history(session: HumanSession, _arguments: Arguments) -> str:
    return "".join(f"{number}: '{line}'\n" for number, line in enumerate(session.history))


COMMANDS = (
    HumanCommand("accelerators", _accelerators, "show what could run a guest, and what would"),
    HumanCommand("balloon", _balloon, "show how much memory the guest is left"),
    HumanCommand("chardev", _chardev, "show the character devices"),
    HumanCommand("cpus", _cpus, "show the processors"),
    HumanCommand("cryptodev", always(""), "show the backends of crypto devices, of which there are none"),
    HumanCommand("dump", _dump, "say how the latest dump of memory went"),
    HumanCommand("history", _history, "show the lines that were typed"),
    HumanCommand("hotpluggable-cpus", _hotpluggable_cpus, "show the places for processors"),
    HumanCommand("iothreads", _iothreads, "show the threads for devices"),
    HumanCommand("kvm", _kvm, "say whether a guest would run on the processor itself"),
    HumanCommand("memdev", _memdev, "show what memory is made of"),
    HumanCommand("memory-devices", always(""), "show the devices that bring memory, of which there are none"),
    HumanCommand("memory_size_summary", _memory_size, "show how much memory there is, in bytes"),
    HumanCommand("mice", _mice, "show the pointers"),
    HumanCommand("name", _name, "show the machine's name"),
    HumanCommand("numa", always("0 nodes\n"), "show the NUMA nodes, of which there are none"),
    HumanCommand("replay", always("Record/replay is not active\n"), "say whether the run is recorded"),
    HumanCommand("sev", always("SEV is not enabled\n"), "say whether memory is encrypted"),
    HumanCommand("spice", always("Server: disabled\n"), "say whether SPICE is served"),
    HumanCommand(
        "stats",
        _stats,
        "show what is counted of a guest, which is nothing",
        "target [names] [provider]",
        (text("target"), optional("names"), optional("provider")),
    ),
    HumanCommand("status", _status, "say whether the machine runs"),
    HumanCommand("tpm", always(""), "show the TPM device, of which there is none"),
    HumanCommand("uuid", _uuid, "show the machine's identity"),
    HumanCommand("version", _version, "show the version of QEMU whose monitor this is"),
    HumanCommand("vm-generation-id", _generation_id, "show the machine's generation"),
    HumanCommand("vnc", always("None\n"), "say whether VNC is served"),
)
