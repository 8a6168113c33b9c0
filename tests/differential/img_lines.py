"""Command lines of the image tool, story by story; each begins in an empty folder.

Those that end otherwise than with QEMU are in :data:`DIFFERENT`, with the reason.
"""

from tests.differential import (
    img_lines_changing,
    img_lines_checking,
    img_lines_encryption,
    img_lines_making,
)

_IMAGES = """
create -f qcow2 a.qcow2 1M
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
bench -w -c 1 -s 36k -o 64k --pattern 2 a.qcow2
create -f qcow2 -b a.qcow2 -B qcow2 b.qcow2
bench -w -c 1 -s 64k -o 512k --pattern 3 b.qcow2
create -f raw a.raw 1M
bench -f raw -w -c 1 -s 64k -o 64k --pattern 4 a.raw
create -f qcow2 s.qcow2 1M
snapshot -c one s.qcow2
bench -w -c 1 -s 64k --pattern 5 s.qcow2
snapshot -c two s.qcow2
"""

_BASICS = {
    "info": _IMAGES
    + """
info a.qcow2
info b.qcow2
info s.qcow2
info a.raw
info --output json s.qcow2
info --output json --backing-chain b.qcow2
info --backing-chain b.qcow2
info --limits a.qcow2
info -f raw a.qcow2
info -f nix a.qcow2
info nix
info
info a b
info --nix
info -f
info --format
info --output nix a.raw
info -U a.qcow2
info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.qcow2"}}'
info 'json:{"driver":"qcow2","nix":3,"file":{"driver":"file","filename":"a.qcow2"}}'
info 'json:nix'
info foo:nix
info file:a.qcow2
info ''
info --image-opts driver=qcow2,file.filename=a.qcow2
info --image-opts file.filename=a.qcow2
info --image-opts nix=1
info --image-opts -f raw driver=raw
info --image-opts driver=nix,file.filename=a.qcow2
info -t nix a.raw
info --object secret,id=a,data=x a.raw
info --object nix,id=a a.raw
nix
--nix
""",
    "check": _IMAGES
    + """
check a.qcow2
check b.qcow2
check s.qcow2
check --output json a.qcow2
check -q a.qcow2
check -r leaks a.qcow2
check -r nix a.qcow2
check -r leaks -U a.qcow2
check -f raw a.raw
check -f qcow2 a.raw
check -T nix a.qcow2
check nix
check --image-opts driver=qcow2,file.filename=a.qcow2
create -f qcow2 -u -b nix -F qcow2 broken.qcow2 1M
check broken.qcow2
info broken.qcow2
info --backing-chain broken.qcow2
""",
    "map": _IMAGES
    + """
create -f qcow2 -o preallocation=metadata,cluster_size=4k p.qcow2 1M
map a.qcow2
map --output json a.qcow2
map b.qcow2
map --output json b.qcow2
map -s 64k -l 128k --output json b.qcow2
map -s 2M --output json b.qcow2
map -s 1k -l 100 b.qcow2
map -s x b.qcow2
map -l -1 b.qcow2
map --output nix b.qcow2
map --output json p.qcow2
map p.qcow2
convert -c -O qcow2 b.qcow2 c.qcow2
map c.qcow2
map --output json c.qcow2
""",
    "create": """
create -f qcow2 y.qcow2 1M
create y.raw 10M
create -f qcow2 -b y.qcow2 -B qcow2 z.qcow2
create -f qcow2 -b y.qcow2 c.qcow2
create -f qcow2 -b nix.qcow2 -F qcow2 e.qcow2
create -f qcow2 -u -b nix.qcow2 -F qcow2 e.qcow2
create -f nix x 1M
create x
create
create -f qcow2 x -- -1
create -f qcow2 x 1x
create -f qcow2 -o nix=1 x 1M
create -f qcow2 -o cluster_size=3 x 1M
create -f qcow2 -o size=3k x 1M
create -f qcow2 -o size=3k x
create -f qcow2 x 1
create -f qcow2 -o compat=0.10 y.qcow2 1M
create -f qcow2 -o compat=2 y.qcow2 1M
create -f qcow2 -o preallocation=nix y.qcow2 1M
create -f qcow2 -o compression_type=zstd,lazy_refcounts=on,refcount_bits=8,extended_l2=on y.qcow2 1M
create -f qcow2 -o data_file=y.data,data_file_raw=on y.qcow2 1M
create -f qcow2 -o lazy_refcounts=nix y.qcow2 1M
create -f qcow2 -o nolazy_refcounts y.qcow2 1M
create -f qcow2 -o cluster_size=x y.qcow2 1M
create -f qcow2 -o ,cluster_size=4k y.qcow2 1M
create -f qcow2 -o cluster_size=4k, y.qcow2 1M
create -f qcow2 -o cluster_size=4k -o lazy_refcounts=on y.qcow2 1M
create -f qcow2 -o backing_file=a,,b y.qcow2 1M
create -f qcow2 -B qcow2 y.qcow2 1M
create -f raw -b y.qcow2 -F qcow2 y.raw 1M
create -f raw -F qcow2 y.raw 1M
create -f qcow2 -b y.qcow2 -F qcow2 y.qcow2
create -f qcow2 -b y.raw -F nix y.qcow2
create -f raw -o preallocation=full y.raw 1M
create -f raw -o preallocation=metadata y.raw 1M
create -f qcow2 nix/y 1M
create -f qcow2 file:y.qcow2 1M
create -f qcow2 foo:y.qcow2 1M
create -f qcow2 y.qcow2 8E
create -f qcow2 y.qcow2 1.5M
create -f null-co y.raw 1M
create -f qcow2 y 1M 2M
create -q -f qcow2 q.qcow2 1M
""",
    "convert": _IMAGES
    + """
convert -O qcow2 a.raw o.qcow2
map --output json o.qcow2
compare a.raw o.qcow2
check o.qcow2
convert -c -o compression_type=zstd,cluster_size=4k -O qcow2 b.qcow2 oz.qcow2
compare b.qcow2 oz.qcow2
convert -p -O qcow2 a.raw o.qcow2
convert -O qcow2 -B a.qcow2 -F qcow2 b.qcow2 ob.qcow2
map --output json ob.qcow2
convert -O qcow2 -B a.qcow2 b.qcow2 ob.qcow2
convert -O raw -B a.qcow2 b.qcow2 ob.raw
convert -O raw -F qcow2 b.qcow2 ob.raw
convert -O qcow2 a.raw b.qcow2 cat.qcow2
map --output json cat.qcow2
convert -n -O raw a.raw a.qcow2
convert -S 0 -O raw a.raw o0.raw
compare a.raw o0.raw
convert -S x -O raw a.raw o0.raw
convert -O nix a.raw o0.raw
convert a.raw
convert nix o.raw
convert -l one -O raw s.qcow2 o.raw
convert -l nix -O raw s.qcow2 o.raw
convert -l snapshot.id=1 -O raw s.qcow2 o.raw
convert -m 0 a.raw o.raw
convert -C -c -O qcow2 a.raw o.raw
convert --target-is-zero a.raw o.raw
convert -c -O raw a.raw o.raw
convert -O qcow2 -o nix=1 a.raw o.qcow2
convert -O qcow2 -o cluster_size=3 a.raw o.qcow2
convert -t nix a.raw o.raw
convert -f qcow2 a.raw o.raw
convert -t writethrough -O qcow2 a.raw o.qcow2
compare o.qcow2 a.raw
""",
    "change": _IMAGES
    + """
compare a.raw a.qcow2
compare a.raw
compare nix a.raw
compare a.raw nix
compare -p a.raw a.raw
compare -q a.raw a.raw
compare -T nix a.raw a.raw
resize -f raw a.raw 2M
resize -f raw a.raw 1M
resize -f raw --shrink a.raw 1M
resize -f raw a.raw +1M
resize --shrink -f raw a.raw -- -1M
resize -f raw a.raw +512k
resize --shrink -f raw a.raw -512k
resize a.qcow2 x
resize a.qcow2
resize a.qcow2 -- -20M
resize a.qcow2 3M
resize --preallocation nix a.qcow2 3M
resize --shrink --preallocation full a.qcow2 1M
resize -q a.qcow2 4M
amend -o nix=1 a.qcow2
amend a.qcow2
amend -o cluster_size=4k a.qcow2
amend -o lazy_refcounts=on a.qcow2
info a.qcow2
amend -o refcount_bits=8 a.qcow2
check -q a.qcow2
amend -o compat=v2 -f raw a.raw
amend -o backing_file=x a.qcow2
amend -o compat=9 a.qcow2
snapshot -f raw -c x a.raw
snapshot -a nix s.qcow2
snapshot -d nix s.qcow2
snapshot -d one s.qcow2
snapshot -c one -l s.qcow2
snapshot -a 2 s.qcow2
snapshot s.qcow2
snapshot
snapshot -l nix
bench -c x a.qcow2
bench -s 0 a.qcow2
bench -w --pattern 256 a.qcow2
bench --flush-interval 3 a.qcow2
bench -w -d 4 --flush-interval 3 a.qcow2
bench -i nix a.qcow2
bench -t nix a.qcow2
bench
bench -c 10 -s 8M a.qcow2
bench -w -c 10 -s 64k --flush-interval 4 -d 2 b.qcow2
map --output json b.qcow2
""",
}

STORIES = {
    **_BASICS,
    **img_lines_making.STORIES,
    **img_lines_changing.STORIES,
    **img_lines_checking.STORIES,
    **img_lines_encryption.STORIES,
}
"""The lines of each story."""

_ZEROES = "what reads as zeroes is stored as such, where QEMU stores the zeroes themselves"
_FIRST_BLOCK = "the first 4096 bytes of a new raw image are a hole, which QEMU fills"
_NO_EVENT = "what a check finds is not also an event of the image"
_REPLACED = "a compressed write over stored data replaces it; QEMU refuses it"

DIFFERENT: dict[tuple[str, str], str] = {
    ("amend", "amend a.qcow2 -o backing_file="): "what is as it is may be named; QEMU refuses an empty name",
    ("converting", "convert -n -c -O qcow2 a.raw c1.qcow2"): _REPLACED,
    ("converting", "map --output json large.qcow2"): _FIRST_BLOCK,
    ("damage", "check refcount_block_misaligned.qcow2"): _NO_EVENT,
    ("damage", "check --output json refcount_block_misaligned.qcow2"): _NO_EVENT,
    ("damage", "check -q refcount_block_misaligned.qcow2"): _NO_EVENT,
    ("names", "create -f luks -o help"): "preallocation is an option of the format here, of the file there",
    ("rebase", "map --output json b.qcow2"): _ZEROES,
}
"""Lines that end otherwise, with their story, and why."""
