"""Say what a check of an image found."""

from dataclasses import dataclass


@dataclass(slots=True)
class CheckResult:
    """What a check found; the members are those of QEMU's ``ImageCheck``.

    Attributes:
        corruptions: What could lose data, and still is so.
        leaks: Clusters that are counted more often than they are used, and still are so.
        check_errors: What could not be checked.
        corruptions_fixed: Corruptions that were put right.
        leaks_fixed: Leaks that were put right.
        image_end_offset: Host offset of the first byte after all that is used.
        total_clusters: Clusters of the virtual disk.
        allocated_clusters: Those that have room in the image.
        fragmented_clusters: Those that do not follow the one before on the host.
        compressed_clusters: Those that are compressed.
    """

    corruptions: int = 0
    leaks: int = 0
    check_errors: int = 0
    corruptions_fixed: int = 0
    leaks_fixed: int = 0
    image_end_offset: int = 0
    total_clusters: int = 0
    allocated_clusters: int = 0
    fragmented_clusters: int = 0
    compressed_clusters: int = 0
