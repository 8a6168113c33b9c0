"""Disks, and the controllers that they are plugged into."""

from qmpserver.machine.devices.device_type import BusOffer, DeviceType
from qmpserver.machine.devices.types.groups import BLOCK, BOOT, CHS, ERRORS, LCHS

STORAGE_TYPES = (
    DeviceType(
        "scsi-device",
        "device",
        "channel:uint32=0 lun:uint32=4294967295 scsi-id:uint32=4294967295",
        is_abstract=True,
        bus="SCSI",
    ),
    DeviceType("scsi-disk-base", "scsi-device", is_abstract=True),
    DeviceType(
        "scsi-hd",
        "scsi-disk-base",
        f"{BLOCK} {ERRORS} {CHS} {LCHS} {BOOT} device_id:str dpofua:bool=on max_io_size:uint64=2147483647 "
        "max_unmap_size:uint64=1073741824 migrate-emulated-scsi-request:bool=on port_index:uint16=0 "
        "port_wwn:uint64=0 product:str quirk_mode_page_set_block_size:bool=off "
        "quirk_mode_page_vendor_specific_apple:bool=off removable:bool=off rotation_rate:uint16=0 "
        "scsi_version:int32=5 serial:str vendor:str ver:str wwn:uint64=0",
        category="Storage",
        description="SCSI disk",
    ),
    DeviceType(
        "scsi-cd",
        "scsi-disk-base",
        f"{BLOCK} {ERRORS} {BOOT} device_id:str max_io_size:uint64=2147483647 "
        "migrate-emulated-scsi-request:bool=on port_index:uint16=0 port_wwn:uint64=0 product:str "
        "quirk_mode_page_apple_vendor:bool=off quirk_mode_page_set_block_size:bool=off "
        "quirk_mode_page_truncated:bool=off quirk_mode_page_vendor_specific_apple:bool=off "
        "quirk_mode_sense_rom_use_dbd:bool=off scsi_version:int32=5 serial:str vendor:str ver:str "
        "wwn:uint64=0",
        category="Storage",
        description="SCSI CD-ROM",
    ),
    DeviceType(
        "scsi-generic",
        "scsi-device",
        f"{BOOT} drive:drive io_timeout:uint32=30 share-rw:bool=off",
        category="Storage",
        description="SCSI device of the host, through /dev/sg*",
    ),
    DeviceType(
        "scsi-block",
        "scsi-disk-base",
        f"{ERRORS} {BOOT} drive:drive io_timeout:uint32=30 max_io_size:uint64=2147483647 "
        "max_unmap_size:uint64=1073741824 migrate-pr:bool=on rotation_rate:uint16=0 scsi_version:int32=-1 "
        "share-rw:bool=off",
        category="Storage",
        description="SCSI disk of the host",
    ),
    DeviceType(
        "ide-device",
        "device",
        "unit:uint32=4294967295 win2k-install-hack:bool=off",
        is_abstract=True,
        bus="IDE",
    ),
    DeviceType(
        "ide-hd",
        "ide-device",
        f"{BLOCK} {ERRORS} {CHS} {LCHS} {BOOT} bios-chs-trans:BiosAtaTranslation=auto model:str "
        "rotation_rate:uint16=0 serial:str ver:str wwn:uint64=0",
        category="Storage",
        description="IDE disk",
    ),
    DeviceType(
        "ide-cd",
        "ide-device",
        f"{BLOCK} {ERRORS} {BOOT} model:str serial:str ver:str wwn:uint64=0",
        category="Storage",
        description="IDE CD-ROM",
    ),
    DeviceType(
        "floppy",
        "device",
        f"{BLOCK} drive-type:FloppyDriveType=auto unit:uint32=4294967295",
        bus="floppy-bus",
        category="Storage",
        description="floppy drive",
    ),
    DeviceType(
        "nvme",
        "pci-device",
        f"{BLOCK} {BOOT} aer_max_queued:uint32=64 aerl:uint8=3 atomic.awun:uint16=0 atomic.awupf:uint16=0 "
        "atomic.dn:bool=off cmb_size_mb:uint32=0 ctratt.mem:bool=off dbcs:bool=on firmware-version:str "
        "ioeventfd:bool=off legacy-cmb:bool=off max_ioqpairs:uint32=64 mdts:uint8=7 model:str "
        "mqes:uint16=2047 msix-exclusive-bar:bool=off msix_qsize:uint16=65 num_queues:uint32=0 "
        "ocp:bool=off pmrdev:link<memory-backend> serial:str smart_critical_warning:uint8 "
        "spdm_port:uint16=0 spdm_trans:SpdmTransportType=doe sriov_max_vfs:uint16=0 "
        "sriov_max_vi_per_vf:uint32=0 sriov_max_vq_per_vf:uint32=0 sriov_vi_flexible:uint16=0 "
        "sriov_vq_flexible:uint16=0 subsys:link<nvme-subsys> use-intel-id:bool=off vsl:uint8=7 "
        "zoned.auto_transition:bool=on zoned.zasl:uint8=0",
        category="Storage",
        description="Non-Volatile Memory Express",
        offers=(BusOffer("nvme-bus", name="id"),),
    ),
    DeviceType(
        "nvme-ns",
        "device",
        f"{BLOCK} {BOOT} atomic.nabo:uint16=0 atomic.nabsn:uint16=0 atomic.nabspf:uint16=0 "
        "atomic.nawun:uint16=0 atomic.nawupf:uint16=0 detached:bool=off eui64-default:bool=off "
        "eui64:uint64=0 fdp.ruhs:str mcl:uint32=128 ms:uint16=0 mset:uint8=0 msrc:uint8=127 "
        "mssrl:uint16=128 nguid:str nsid:uint32=0 pi:uint8=0 pif:uint8=0 pil:uint8=0 shared:bool=on "
        "uuid:str zoned.cross_read:bool=off zoned.descr_ext_size:uint32=0 zoned.max_active:uint32=0 "
        "zoned.max_open:uint32=0 zoned.numzrwa:uint32=0 zoned.zone_capacity:size=0 "
        "zoned.zone_size:size=134217728 zoned.zrwafg:size=18446744073709551615 zoned.zrwas:size=0 "
        "zoned:bool=off",
        bus="nvme-bus",
        category="Storage",
        description="NVMe namespace",
    ),
    DeviceType(
        "nvme-subsys",
        "device",
        "fdp.nrg:uint32=1 fdp.nruh:uint16=0 fdp.runs:size=100663296 fdp:bool=off nqn:str",
        category="Storage",
        description="NVMe subsystem",
        offers=(BusOffer("nvme-bus", name="id"),),
    ),
    DeviceType("lsi53c895a", "pci-device", category="Storage", alias="lsi", offers=(BusOffer("SCSI"),)),
    DeviceType("lsi53c810", "lsi53c895a", category="Storage"),
    DeviceType("megasas-base", "pci-device", is_abstract=True, offers=(BusOffer("SCSI"),)),
    DeviceType(
        "megasas",
        "megasas-base",
        "hba_serial:str max_cmds:uint32=1000 max_sge:uint32=80 msi:auto=auto msix:auto=auto "
        "sas_address:uint64=0 use_jbod:bool=off",
        category="Storage",
        description="LSI MegaRAID SAS 1078",
    ),
    DeviceType(
        "megasas-gen2",
        "megasas-base",
        "hba_serial:str max_cmds:uint32=1008 max_sge:uint32=80 msi:auto=auto msix:auto=auto "
        "sas_address:uint64=0 use_jbod:bool=off",
        category="Storage",
        description="LSI MegaRAID SAS 2108",
    ),
    DeviceType(
        "mptsas1068",
        "pci-device",
        "msi:auto=auto sas_address:uint64=0",
        category="Storage",
        description="LSI SAS 1068",
        offers=(BusOffer("SCSI"),),
    ),
    DeviceType(
        "am53c974",
        "pci-device",
        category="Storage",
        description="AMD Am53c974 PCscsi-PCI SCSI adapter",
        offers=(BusOffer("SCSI"),),
    ),
    DeviceType("dc390", "am53c974", category="Storage", description="Tekram DC-390 SCSI adapter"),
    DeviceType("pvscsi", "pci-device", "use_msg:uint8=1", category="Storage", offers=(BusOffer("SCSI"),)),
    DeviceType(
        "ich9-ahci", "pci-device", category="Storage", alias="ahci", offers=(BusOffer("IDE", count=6),)
    ),
    DeviceType("pci-ide", "pci-device", is_abstract=True, offers=(BusOffer("IDE", count=2),)),
    DeviceType("piix3-ide", "pci-ide", category="Storage", hotpluggable=False),
    DeviceType("piix4-ide", "pci-ide", category="Storage", hotpluggable=False),
    DeviceType(
        "isa-fdc",
        "isa-device",
        "bootindexA:int32 bootindexB:int32 dma:uint32=2 fallback:FloppyDriveType=288 "
        "fdtypeA:FloppyDriveType=auto fdtypeB:FloppyDriveType=auto iobase:uint32=1008 irq:uint32=6",
        category="Storage",
        description="floppy controller",
        offers=(BusOffer("floppy-bus"),),
    ),
)
