"""Devices that speak virtio, and what carries them over PCI."""

from collections.abc import Iterator

from qmpserver.machine.devices.device_type import BusOffer, DeviceType
from qmpserver.machine.devices.types.groups import BLOCK, BOOT, CHS, ERRORS, LCHS, MODERN, NIC

_INTERRUPTS = "ioeventfd:bool=on vectors:uint32=4294967295"


def _on_pci(kind: str, category: str, words: str = _INTERRUPTS) -> Iterator[DeviceType]:
    """Describe what carries a device over PCI: first what is told which versions of virtio to speak."""
    base, device = f"virtio-{kind}-pci-base", f"virtio-{kind}-device"
    yield DeviceType(base, "virtio-pci", words, is_abstract=True)
    yield DeviceType(
        f"virtio-{kind}-pci", base, MODERN, backend=device, category=category, alias=f"virtio-{kind}"
    )
    for version in ("transitional", "non-transitional"):
        yield DeviceType(f"virtio-{kind}-pci-{version}", base, backend=device, category=category)


VIRTIO_TYPES = (
    DeviceType(
        "virtio-pci",
        "pci-device",
        "aer:bool=off ats:bool=off modern-pio-notify:bool=off page-per-vq:bool=off "
        "virtio-pci-bus-master-bug-migration:bool=off x-ats-page-aligned:bool=on x-pcie-flr-init:bool=on "
        "x-pcie-pm-no-soft-reset:bool=off",
        is_abstract=True,
        offers=(BusOffer("virtio-pci-bus", name="virtio-bus"),),
    ),
    *_on_pci("blk", "Storage", f"class:uint32=0 {_INTERRUPTS}"),
    DeviceType(
        "virtio-device",
        "device",
        "any_layout:bool=on event_idx:bool=on in_order:bool=off indirect_desc:bool=on "
        "iommu_platform:bool=off notify_on_empty:bool=on packed:bool=off queue_reset:bool=on "
        "use-disabled-flag:bool=on use-started:bool=on x-disable-legacy-check:bool=off",
        is_abstract=True,
        bus="virtio-bus",
    ),
    DeviceType(
        "virtio-blk-device",
        "virtio-device",
        f"{BLOCK} {ERRORS} {CHS} {LCHS} {BOOT} config-wce:bool=on discard:bool=on "
        "iothread-vq-mapping:IOThreadVirtQueueMappingList iothread:link<iothread> "
        "max-discard-sectors:uint32=4194303 max-write-zeroes-sectors:uint32=4194303 "
        "num-queues:uint16=65535 queue-size:uint16=256 report-discard-granularity:bool=on "
        "request-merging:bool=on seg-max-adjust:bool=on serial:str write-zeroes:bool=on "
        "x-enable-wce-if-config-wce:bool=on",
        category="Storage",
    ),
    *_on_pci("scsi", "Storage"),
    DeviceType("virtio-scsi-common", "virtio-device", is_abstract=True, offers=(BusOffer("SCSI"),)),
    DeviceType(
        "virtio-scsi-device",
        "virtio-scsi-common",
        "cmd_per_lun:uint32=128 hotplug:bool=on iothread-vq-mapping:IOThreadVirtQueueMappingList "
        "iothread:link<iothread> max_sectors:uint32=65535 num_queues:uint32=4294967295 "
        "param_change:bool=on seg_max_adjust:bool=on virtqueue_size:uint32=256",
        category="Storage",
    ),
    *_on_pci("serial", "Input", "class:uint32=0 ioeventfd:bool=on vectors:uint32=2"),
    DeviceType(
        "virtio-serial-device",
        "virtio-device",
        "max_ports:uint32=31",
        category="Input",
        offers=(BusOffer("virtio-serial-bus"),),
    ),
    *_on_pci("balloon", "Misc"),
    DeviceType(
        "virtio-balloon-device",
        "virtio-device",
        "deflate-on-oom:bool=off free-page-hint:bool=off free-page-reporting:bool=off "
        "guest-stats-polling-interval:int guest-stats:guest-statistics iothread:link<iothread> "
        "page-poison:bool=on",
        category="Misc",
    ),
    *_on_pci("rng", "Misc"),
    DeviceType(
        "virtio-rng-device",
        "virtio-device",
        "max-bytes:uint64=9223372036854775807 period:uint32=65536 rng:link<rng-backend>",
        category="Misc",
    ),
    *_on_pci("net", "Network"),
    DeviceType(
        "virtio-net-device",
        "virtio-device",
        f"{NIC} csum:bool=on ctrl_guest_offloads:bool=on ctrl_mac_addr:bool=on ctrl_rx:bool=on "
        "ctrl_rx_extra:bool=on ctrl_vlan:bool=on ctrl_vq:bool=on duplex:str ebpf-rss-fds:list= "
        "failover:bool=off gso:bool=on guest_announce:bool=on guest_csum:bool=on guest_ecn:bool=on "
        "guest_rsc_ext:bool=off guest_tso4:bool=on guest_tso6:bool=on guest_tunnel:bool=on "
        "guest_tunnel_csum:bool=on guest_ufo:bool=on guest_uso4:bool=on guest_uso6:bool=on "
        "hash-ipv4:auto=auto hash-ipv6:auto=auto hash-ipv6ex:auto=auto hash-tcp4:auto=auto "
        "hash-tcp6:auto=auto hash-tcp6ex:auto=auto hash-udp4:auto=auto hash-udp6:auto=auto "
        "hash-udp6ex:auto=auto hash:bool=off host_ecn:bool=on host_mtu:uint16=0 host_tso4:bool=on "
        "host_tso6:bool=on host_tunnel:bool=on host_tunnel_csum:bool=on host_ufo:bool=on host_uso:bool=on "
        "mq:bool=off mrg_rxbuf:bool=on rsc_interval:uint32=300000 rss:bool=off rx_queue_size:uint16=256 "
        "speed:int32=-1 status:bool=on tx:str tx_queue_size:uint16=256 x-txburst:int32=256 "
        "x-txtimer:uint32=150000",
        category="Network",
    ),
)
