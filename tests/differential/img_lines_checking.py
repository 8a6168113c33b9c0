"""Command lines of the image tool about damaged images; see :mod:`img_lines`.

``!poke FILE OFFSET BYTES`` writes bytes, given in hexadecimal, into a file.  In these images the refcount table lies
at 0x10000, its only block at 0x20000, the L1 table at 0x30000, the L2 table at 0x40000, and then the data.
"""

STORIES = {
    "damage": """
create -q -f qcow2 leaked.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 leaked.qcow2
!poke leaked.qcow2 131090 0002
check leaked.qcow2
create -q -f qcow2 leaked.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 leaked.qcow2
!poke leaked.qcow2 131090 0002
check -r leaks leaked.qcow2
create -q -f qcow2 leaked.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 leaked.qcow2
!poke leaked.qcow2 131090 0002
check -r all leaked.qcow2
create -q -f qcow2 leaked.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 leaked.qcow2
!poke leaked.qcow2 131090 0002
check --output json leaked.qcow2
check -q leaked.qcow2
create -q -f qcow2 lost.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 lost.qcow2
!poke lost.qcow2 131084 0000
check lost.qcow2
create -q -f qcow2 unshared.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 unshared.qcow2
!poke unshared.qcow2 262152 0000000000000000
check unshared.qcow2
create -q -f qcow2 unshared.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 unshared.qcow2
!poke unshared.qcow2 262152 0000000000000000
check -r leaks unshared.qcow2
create -q -f qcow2 unshared.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 unshared.qcow2
!poke unshared.qcow2 262152 0000000000000000
check -r all unshared.qcow2
create -q -f qcow2 shared.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 shared.qcow2
!poke shared.qcow2 262152 8000000000050000
check shared.qcow2
create -q -f qcow2 shared.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 shared.qcow2
!poke shared.qcow2 262152 8000000000050000
check -r leaks shared.qcow2
create -q -f qcow2 shared.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 shared.qcow2
!poke shared.qcow2 262152 8000000000050000
check -r all shared.qcow2
create -q -f qcow2 copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 copied.qcow2
!poke copied.qcow2 262144 0000000000050000
check copied.qcow2
create -q -f qcow2 copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 copied.qcow2
!poke copied.qcow2 262144 0000000000050000
check -r leaks copied.qcow2
create -q -f qcow2 copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 copied.qcow2
!poke copied.qcow2 262144 0000000000050000
check -r all copied.qcow2
create -q -f qcow2 copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 copied.qcow2
!poke copied.qcow2 262144 0000000000050000
check --output json copied.qcow2
check -q copied.qcow2
create -q -f qcow2 l1_copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_copied.qcow2
!poke l1_copied.qcow2 196608 0000000000040000
check l1_copied.qcow2
create -q -f qcow2 l1_copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_copied.qcow2
!poke l1_copied.qcow2 196608 0000000000040000
check -r leaks l1_copied.qcow2
create -q -f qcow2 l1_copied.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_copied.qcow2
!poke l1_copied.qcow2 196608 0000000000040000
check -r all l1_copied.qcow2
create -q -f qcow2 misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 misaligned.qcow2
!poke misaligned.qcow2 262144 8000000000050200
check misaligned.qcow2
create -q -f qcow2 misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 misaligned.qcow2
!poke misaligned.qcow2 262144 8000000000050200
check -r leaks misaligned.qcow2
create -q -f qcow2 misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 misaligned.qcow2
!poke misaligned.qcow2 262144 8000000000050200
check -r all misaligned.qcow2
create -q -f qcow2 reserved.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 reserved.qcow2
!poke reserved.qcow2 262144 8000000000050002
check reserved.qcow2
create -q -f qcow2 reserved.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 reserved.qcow2
!poke reserved.qcow2 262144 8000000000050002
check -r all reserved.qcow2
create -q -f qcow2 beyond.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 beyond.qcow2
!poke beyond.qcow2 262144 8000010000000000
check beyond.qcow2
create -q -f qcow2 beyond.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 beyond.qcow2
!poke beyond.qcow2 262144 8000010000000000
check -r leaks beyond.qcow2
create -q -f qcow2 beyond.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 beyond.qcow2
!poke beyond.qcow2 262144 8000010000000000
check -r all beyond.qcow2
create -q -f qcow2 l1_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_misaligned.qcow2
!poke l1_misaligned.qcow2 196608 8000000000040200
check l1_misaligned.qcow2
create -q -f qcow2 l1_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_misaligned.qcow2
!poke l1_misaligned.qcow2 196608 8000000000040200
check -r leaks l1_misaligned.qcow2
create -q -f qcow2 l1_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_misaligned.qcow2
!poke l1_misaligned.qcow2 196608 8000000000040200
check -r all l1_misaligned.qcow2
create -q -f qcow2 l1_reserved.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_reserved.qcow2
!poke l1_reserved.qcow2 196608 8000000000040001
check l1_reserved.qcow2
create -q -f qcow2 l1_reserved.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 l1_reserved.qcow2
!poke l1_reserved.qcow2 196608 8000000000040001
check -r all l1_reserved.qcow2
create -q -f qcow2 zero_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 zero_misaligned.qcow2
!poke zero_misaligned.qcow2 262144 8000000000050201
check zero_misaligned.qcow2
create -q -f qcow2 zero_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 zero_misaligned.qcow2
!poke zero_misaligned.qcow2 262144 8000000000050201
check -r all zero_misaligned.qcow2
create -q -f qcow2 refcount_block_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 refcount_block_misaligned.qcow2
!poke refcount_block_misaligned.qcow2 65536 0000000000020200
check refcount_block_misaligned.qcow2
create -q -f qcow2 refcount_block_misaligned.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 refcount_block_misaligned.qcow2
!poke refcount_block_misaligned.qcow2 65536 0000000000020200
check --output json refcount_block_misaligned.qcow2
check -q refcount_block_misaligned.qcow2
create -q -f qcow2 refcount_block_beyond.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 refcount_block_beyond.qcow2
!poke refcount_block_beyond.qcow2 65544 0000010000000000
check refcount_block_beyond.qcow2
create -q -f qcow2 in_use.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 in_use.qcow2
!poke in_use.qcow2 79 01
check in_use.qcow2
create -q -f qcow2 in_use.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 in_use.qcow2
!poke in_use.qcow2 79 01
check -r leaks in_use.qcow2
create -q -f qcow2 in_use.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 in_use.qcow2
!poke in_use.qcow2 79 01
check -r all in_use.qcow2
create -q -f qcow2 corrupt.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 corrupt.qcow2
!poke corrupt.qcow2 79 02
check corrupt.qcow2
create -q -f qcow2 corrupt.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 corrupt.qcow2
!poke corrupt.qcow2 79 02
check -r leaks corrupt.qcow2
create -q -f qcow2 corrupt.qcow2 1M
bench -w -c 4 -s 64k --pattern 1 corrupt.qcow2
!poke corrupt.qcow2 79 02
check -r all corrupt.qcow2
""",
}
"""The lines of each story."""
