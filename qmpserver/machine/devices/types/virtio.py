"""Devices that speak virtio, and what carries them over PCI."""

from qmpserver.machine.devices.device_type import BusOffer, DeviceType
from qmpserver.machine.devices.types.groups import BLOCK, BOOT, CHS, ERRORS, LCHS, MODERN, NIC

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
    DeviceType(
        "virtio-blk-pci-base",
        "virtio-pci",
        "class:uint32=0 ioeventfd:bool=on vectors:uint32=4294967295",
        is_abstract=True,
    ),
    DeviceType(
        "virtio-blk-pci",
        "virtio-blk-pci-base",
        f"{MODERN}",
        backend="virtio-blk-device",
        category="Storage",
        alias="virtio-blk",
    ),
    DeviceType(
        "virtio-blk-pci-transitional", "virtio-blk-pci-base", backend="virtio-blk-device", category="Storage"
    ),
    DeviceType(
        "virtio-blk-pci-non-transitional",
        "virtio-blk-pci-base",
        backend="virtio-blk-device",
        category="Storage",
    ),
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
    DeviceType(
        "virtio-scsi-pci-base", "virtio-pci", "ioeventfd:bool=on vectors:uint32=4294967295", is_abstract=True
    ),
    DeviceType(
        "virtio-scsi-pci",
        "virtio-scsi-pci-base",
        f"{MODERN}",
        backend="virtio-scsi-device",
        category="Storage",
        alias="virtio-scsi",
    ),
    DeviceType(
        "virtio-scsi-pci-transitional",
        "virtio-scsi-pci-base",
        backend="virtio-scsi-device",
        category="Storage",
    ),
    DeviceType(
        "virtio-scsi-pci-non-transitional",
        "virtio-scsi-pci-base",
        backend="virtio-scsi-device",
        category="Storage",
    ),
    DeviceType("virtio-scsi-common", "virtio-device", is_abstract=True, offers=(BusOffer("SCSI"),)),
    DeviceType(
        "virtio-scsi-device",
        "virtio-scsi-common",
        "cmd_per_lun:uint32=128 hotplug:bool=on iothread-vq-mapping:IOThreadVirtQueueMappingList "
        "iothread:link<iothread> max_sectors:uint32=65535 num_queues:uint32=4294967295 "
        "param_change:bool=on seg_max_adjust:bool=on virtqueue_size:uint32=256",
        category="Storage",
    ),
    DeviceType(
        "virtio-serial-pci-base",
        "virtio-pci",
        "class:uint32=0 ioeventfd:bool=on vectors:uint32=2",
        is_abstract=True,
    ),
    DeviceType(
        "virtio-serial-pci",
        "virtio-serial-pci-base",
        f"{MODERN}",
        backend="virtio-serial-device",
        category="Input",
        alias="virtio-serial",
    ),
    DeviceType(
        "virtio-serial-pci-transitional",
        "virtio-serial-pci-base",
        backend="virtio-serial-device",
        category="Input",
    ),
    DeviceType(
        "virtio-serial-pci-non-transitional",
        "virtio-serial-pci-base",
        backend="virtio-serial-device",
        category="Input",
    ),
    DeviceType(
        "virtio-serial-device",
        "virtio-device",
        "max_ports:uint32=31",
        category="Input",
        offers=(BusOffer("virtio-serial-bus"),),
    ),
    DeviceType(
        "virtio-balloon-pci-base",
        "virtio-pci",
        "ioeventfd:bool=on vectors:uint32=4294967295",
        is_abstract=True,
    ),
    DeviceType(
        "virtio-balloon-pci",
        "virtio-balloon-pci-base",
        f"{MODERN}",
        backend="virtio-balloon-device",
        category="Misc",
        alias="virtio-balloon",
    ),
    DeviceType(
        "virtio-balloon-pci-transitional",
        "virtio-balloon-pci-base",
        backend="virtio-balloon-device",
        category="Misc",
    ),
    DeviceType(
        "virtio-balloon-pci-non-transitional",
        "virtio-balloon-pci-base",
        backend="virtio-balloon-device",
        category="Misc",
    ),
    DeviceType(
        "virtio-balloon-device",
        "virtio-device",
        "deflate-on-oom:bool=off free-page-hint:bool=off free-page-reporting:bool=off "
        "guest-stats-polling-interval:int guest-stats:guest-statistics iothread:link<iothread> "
        "page-poison:bool=on",
        category="Misc",
    ),
    DeviceType(
        "virtio-rng-pci-base", "virtio-pci", "ioeventfd:bool=on vectors:uint32=4294967295", is_abstract=True
    ),
    DeviceType(
        "virtio-rng-pci",
        "virtio-rng-pci-base",
        f"{MODERN}",
        backend="virtio-rng-device",
        category="Misc",
        alias="virtio-rng",
    ),
    DeviceType(
        "virtio-rng-pci-transitional", "virtio-rng-pci-base", backend="virtio-rng-device", category="Misc"
    ),
    DeviceType(
        "virtio-rng-pci-non-transitional", "virtio-rng-pci-base", backend="virtio-rng-device", category="Misc"
    ),
    DeviceType(
        "virtio-rng-device",
        "virtio-device",
        "max-bytes:uint64=9223372036854775807 period:uint32=65536 rng:link<rng-backend>",
        category="Misc",
    ),
    DeviceType(
        "virtio-net-pci-base", "virtio-pci", "ioeventfd:bool=on vectors:uint32=4294967295", is_abstract=True
    ),
    DeviceType(
        "virtio-net-pci",
        "virtio-net-pci-base",
        f"{MODERN}",
        backend="virtio-net-device",
        category="Network",
        alias="virtio-net",
    ),
    DeviceType(
        "virtio-net-pci-transitional", "virtio-net-pci-base", backend="virtio-net-device", category="Network"
    ),
    DeviceType(
        "virtio-net-pci-non-transitional",
        "virtio-net-pci-base",
        backend="virtio-net-device",
        category="Network",
    ),
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
