"""Command lines of the image tool that make images, or say what making them would take; see :mod:`img_lines`."""

STORIES = {
    "creating": """
create -f raw a.raw 1M
create -f qcow2 a.qcow2 1M
create -f raw -b a.raw x 1M
create -f qcow2 -b a.raw -F raw b.qcow2
create -f qcow2 -b a.raw -F raw b.qcow2 512k
create -f qcow2 -b a.raw -B raw -F qcow2 b.qcow2 512k
create -f qcow2 -b a.raw -F raw -o backing_file=a.qcow2 b.qcow2
create -f qcow2 -b b.qcow2 -F qcow2 b.qcow2
create -f qcow2 -b '' b.qcow2 1M
create -f qcow2 -b a.raw -F '' b.qcow2 1M
create -f qcow2 -u -b nix b.qcow2
create -f qcow2 -u -b nix b.qcow2 1M
create -f qcow2 -b 'json:{"driver":"raw","file":{"driver":"file","filename":"a.raw"}}' -F raw j.qcow2
info j.qcow2
create -f qcow2 -b file:a.raw -F raw f.qcow2
info f.qcow2
create -f qcow2 -b nbd://127.0.0.1:1/x -F raw n.qcow2
create -u -f qcow2 -b nbd://127.0.0.1:1/x -F raw n.qcow2 1M
info n.qcow2
create -f qcow2 -o backing_file=a.raw,backing_fmt=raw o.qcow2
create -f qcow2 -o backing_fmt=raw o.qcow2 1M
create -f qcow2 x.qcow2 1k
create -f qcow2 x.qcow2 1K
create -f qcow2 x.qcow2 1b
create -f qcow2 x.qcow2 0
create -f qcow2 x.qcow2 0x100000
create -f qcow2 x.qcow2 1.0001G
create -f qcow2 x.qcow2 1e3
create -f qcow2 x.qcow2 ' 1M'
create -f qcow2 x.qcow2 1MB
create -f qcow2 x.qcow2 +1M
create -f qcow2 x.qcow2 ''
create -f qcow2 x.qcow2 16E
create -f qcow2 -o cluster_size=2M x.qcow2 64P
create -f qcow2 -o cluster_size=512 x.qcow2 1G
create -f qcow2 -o cluster_size=4M x.qcow2 1G
create -f qcow2 -o compression_type=nix x.qcow2 1G
create -f qcow2 -o compression_type=zstd,compat=0.10 x.qcow2 1G
create -f qcow2 -o refcount_bits=128 x.qcow2 1G
create -f qcow2 -o refcount_bits=1,compat=v2 x.qcow2 1G
create -f qcow2 -o lazy_refcounts=on,compat=v2 x.qcow2 1G
create -f qcow2 -o extended_l2=on,compat=v2 x.qcow2 1G
create -f qcow2 -o extended_l2=on,cluster_size=8k x.qcow2 1G
create -f qcow2 -o data_file=df x.qcow2 1M
create -f qcow2 -o data_file_raw=on x.qcow2 1M
create -f qcow2 -o data_file=df,data_file_raw=on -b a.raw -F raw x.qcow2 1M
create -f qcow2 -o data_file=df,compat=v2 x.qcow2 1M
create -f qcow2 -o data_file=df,keep_data_file=on x.qcow2 1M
create -f qcow2 -o keep_data_file=on x.qcow2 1M
create -f qcow2 -o data_file=nix,keep_data_file=on x.qcow2 1M
create -f qcow2 -o preallocation=full x.qcow2 1M
create -f qcow2 -o preallocation=falloc x.qcow2 1M
create -f qcow2 -o preallocation=metadata -b a.raw -F raw x.qcow2 1M
create -f qcow2 -o encrypt.format=nix x.qcow2 1M
create -f qcow2 -o nocow=on,extent_size_hint=1M x.qcow2 1M
create -f raw -o extent_size_hint=3 x.raw 1M
create -f raw -o extent_size_hint=5G x.raw 1M
create -f raw -o preallocation=nix x.raw 1M
create -f file x.file 1M
create -f blkdebug x 1M
create -f '' x 1M
create /nix/nix 1M
create -f qcow2 /nix/nix 1M
create -f qcow2 . 1M
create . 1M
create -f qcow2 json:x 1M
create -f qcow2 a=b,c.qcow2 1M
info a=b,c.qcow2
create --options cluster_size=4k --format qcow2 x.qcow2 1M
create --opt cluster_size=4k --form=qcow2 x.qcow2 1M
create --backing a.raw --backing-format raw --format qcow2 x.qcow2
create --back a.raw x.qcow2
create -- -x 1M
create -f
create -f qcow2 x.qcow2 1M --quiet
""",
    "converting": """
create -f qcow2 a.qcow2 1M
bench -w -c 3 -s 64k -o 0 --pattern 1 a.qcow2
create -f raw a.raw 1M
bench -f raw -w -c 3 -s 64k -o 64k --pattern 1 a.raw
create -f qcow2 s.qcow2 1M
bitmap --add s.qcow2 b0
bitmap --add --disable -g 128k s.qcow2 b1
bench -w -c 2 -s 64k -o 512k --pattern 1 s.qcow2
convert --bitmaps -O qcow2 s.qcow2 sc.qcow2
info sc.qcow2
convert --bitmaps -O raw s.qcow2 sc.raw
convert --bitmaps -O qcow2 a.raw sc2.qcow2
convert --bitmaps -O qcow2 a.qcow2 sc2.qcow2
convert --bitmaps -O qcow2 s.qcow2 a.qcow2 sc2.qcow2
convert --bitmaps -O qcow2 -o compat=v2 s.qcow2 sc2.qcow2
convert --skip-broken-bitmaps -O qcow2 s.qcow2 sc2.qcow2
convert --bitmaps -n -O qcow2 s.qcow2 sc.qcow2
convert --bitmaps -c -O qcow2 s.qcow2 sc3.qcow2
convert --bitmaps -l nix -O qcow2 s.qcow2 sc3.qcow2
snapshot -c snap s.qcow2
convert --bitmaps -l snap -O qcow2 s.qcow2 sc4.qcow2
info sc4.qcow2
convert -C -O qcow2 a.raw c1.qcow2
convert -W -m 4 -O qcow2 a.raw c1.qcow2
convert -W -m 17 -O qcow2 a.raw c1.qcow2
convert -m x -O qcow2 a.raw c1.qcow2
convert -W -r 1M -O qcow2 a.raw c1.qcow2
convert -r 1x -O qcow2 a.raw c1.qcow2
convert -n --target-image-opts a.raw driver=qcow2,file.filename=c1.qcow2
convert --target-image-opts a.raw driver=qcow2,file.filename=c1.qcow2
convert --target-image-opts -O qcow2 a.raw driver=qcow2,file.filename=c1.qcow2
convert -n --target-image-opts -O qcow2 a.raw driver=qcow2,file.filename=c1.qcow2
convert -n -o cluster_size=4k -O qcow2 a.raw c1.qcow2
convert -n -b a.qcow2 -O qcow2 a.raw c1.qcow2
convert -n -O qcow2 a.raw nix.qcow2
convert -n -O nix a.raw c1.qcow2
convert -n --target-is-zero -O qcow2 a.raw c1.qcow2
convert --target-is-zero -O qcow2 a.raw c1.qcow2
convert -n -c -O qcow2 a.raw c1.qcow2
convert -n -S 0 -O qcow2 a.raw c1.qcow2
convert -S 1k -O qcow2 a.raw c1.qcow2
convert -S 100 -O qcow2 a.raw c1.qcow2
convert -S 3000000000 -O qcow2 a.raw c1.qcow2
convert -S -1 -O qcow2 a.raw c1.qcow2
convert --salvage -C -O qcow2 a.raw c1.qcow2
convert --salvage -O qcow2 a.raw c1.qcow2
convert -B a.qcow2 -F qcow2 -O raw a.raw c1.raw
convert -B nix -F qcow2 -O qcow2 a.raw c1.qcow2
convert -B a.qcow2 -F nix -O qcow2 a.raw c1.qcow2
convert -F qcow2 -O qcow2 a.raw c1.qcow2
convert -B a.qcow2 -F qcow2 -O qcow2 -o backing_file=nix a.raw c1.qcow2
convert -B a.qcow2 -O qcow2 -o backing_fmt=qcow2 a.raw c1.qcow2
convert -O qcow2 -o backing_file=a.qcow2,backing_fmt=qcow2 a.raw c1.qcow2
convert -O qcow2 -o backing_file=a.qcow2 a.raw c1.qcow2
convert -c -O qcow2 -o preallocation=metadata a.raw c1.qcow2
convert -c -O qcow2 -o data_file=x a.raw c1.qcow2
convert -O qcow2 -o data_file=x a.raw c1.qcow2
convert -O qcow2 -o preallocation=metadata a.raw c1.qcow2
convert -O qcow2 -o preallocation=full a.raw c1.qcow2
convert -O raw -o preallocation=falloc a.raw c1.raw
convert -O file a.raw e3.raw
convert -l snap -l snap -O raw s.qcow2 e4.raw
convert -l snap -O raw s.qcow2 s.qcow2 e4.raw
convert -l '' -O raw s.qcow2 e4.raw
convert -l snapshot.nix=1 -O raw s.qcow2 e4.raw
convert -p -q -O raw s.qcow2 e4.raw
convert -O raw s.qcow2 s.qcow2
convert -O qcow2 s.qcow2 s.qcow2
convert -n -O qcow2 s.qcow2 s.qcow2
convert -T nix a.raw c1.raw
convert -t none -T none a.raw c1.raw
convert -t directsync -O qcow2 a.raw c1.qcow2
convert --image-opts -f raw driver=raw,file.filename=a.raw c1.raw
convert --image-opts driver=raw,file.filename=a.raw c1.raw
convert -O qcow2 -o help
convert -O qcow2 -o ? a.raw b.raw
convert -U -O qcow2 a.raw c1.qcow2
create -f qcow2 small.qcow2 64k
convert -n -O qcow2 a.raw small.qcow2
create -f qcow2 large.qcow2 4M
bench -w -c 64 -s 64k -o 0 --pattern 9 large.qcow2
convert -n -O qcow2 a.raw large.qcow2
map --output json large.qcow2
convert -c -O qcow2 -S 8k a.raw cc.qcow2
map --output json cc.qcow2
convert --help-nix
convert -O qcow2 a.raw nix/x.qcow2
convert
convert a.raw
""",
    "dd": """
create -f qcow2 a.qcow2 1M
create -f raw a.raw 1M
bench -f raw -w -c 3 -s 64k -o 64k --pattern 1 a.raw
dd
dd if=a.raw
dd of=x
dd if=nix of=x
dd if=a.raw of=x
info x
dd if=a.raw of=x bs=1M
dd if=a.raw of=x bs=x
dd if=a.raw of=x bs=0
dd if=a.raw of=x count=x
dd if=a.raw of=x count=3 bs=1000
info -f raw x
dd -O qcow2 if=a.raw of=x.qcow2 count=3 bs=1000
info x.qcow2
map --output json x.qcow2
dd -O qcow2 if=a.raw of=x.qcow2 skip=1000 bs=1024
info x.qcow2
dd -O qcow2 if=a.raw of=x.qcow2 skip=2000 bs=1024
dd -O nix if=a.raw of=x.qcow2
dd -f qcow2 if=a.raw of=x.qcow2
dd -f raw -O raw if=a.raw of=x.raw seek=3
dd if=a.raw of=x.raw nix=3
dd if=a.raw of=x.raw nix
dd -O luks if=a.raw of=x.raw
dd if=a.raw if=b of=x.raw
dd count=0 if=a.raw of=x0.raw
info x0.raw
dd --image-opts if=driver=raw,file.filename=a.raw of=y.raw
dd if=a.raw of=nix/y.raw
dd if=a.raw of=a.raw
dd bs=2G if=a.raw of=x.raw
dd bs=3G if=a.raw of=x.raw
dd bs=-1 if=a.raw of=x.raw
dd count=-1 if=a.raw of=x.raw
dd -n if=a.raw of=x.raw
dd -U if=a.raw of=x.raw
""",
    "measure": """
create -f qcow2 a.qcow2 1M
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
create -f raw a.raw 1M
create -f qcow2 s.qcow2 1M
bench -w -c 3 -s 64k -o 0 --pattern 1 s.qcow2
snapshot -c one s.qcow2
bench -w -c 8 -s 64k -o 128k --pattern 1 s.qcow2
bitmap --add s.qcow2 b
measure
measure a.raw
measure nix
measure --size 1G
measure --size 1G a.raw
measure --size x
measure --size 8E
measure --size 1
measure -O qcow2 --size 1G
measure -O qcow2 --size 1
measure -O qcow2 --size 0
measure -O qcow2 --size 1G --output json
measure -O qcow2 a.qcow2
measure -O qcow2 s.qcow2
measure -O qcow2 --output json s.qcow2
measure -O raw s.qcow2
measure -O qcow2 -l one s.qcow2
measure -O qcow2 -l snapshot.name=one s.qcow2
measure -O qcow2 -l snapshot.id=1 s.qcow2
measure -O qcow2 -l nix s.qcow2
measure -l nix -O qcow2 --size 1G
measure -O qcow2 -l one a.raw
measure -O nix --size 1G
measure -O qcow2 -o cluster_size=4k --size 1G
measure -O qcow2 -o cluster_size=2M --size 1T
measure -O qcow2 -o extended_l2=on --size 1T
measure -O qcow2 -o refcount_bits=64 --size 1T
measure -O qcow2 -o refcount_bits=1 --size 1T
measure -O qcow2 -o compat=0.10 --size 1T
measure -O qcow2 -o preallocation=metadata --size 1T
measure -O qcow2 -o preallocation=full --size 1T
measure -O qcow2 -o preallocation=full a.qcow2
measure -O qcow2 -o preallocation=falloc a.qcow2
measure -O qcow2 -o preallocation=metadata a.qcow2
measure -O qcow2 -o preallocation=nix a.qcow2
measure -O qcow2 -o backing_file=x,backing_fmt=raw a.qcow2
measure -O qcow2 -o size=3G a.qcow2
measure -O qcow2 -o size=3G --size 1G
measure -O qcow2 -o cluster_size=3 --size 1G
measure -O qcow2 -o nix=3 --size 1G
measure -O qcow2 -o help --size 1G
measure -O qcow2 -o data_file=x,data_file_raw=on a.qcow2
measure -O raw -o preallocation=full a.qcow2
measure -O raw -o preallocation=nix a.qcow2
measure -O file --size 1G
measure -O nbd --size 1G
measure -f raw --size 1G
measure -U --size 1G
measure --image-opts --size 1G
measure --image-opts driver=qcow2,file.filename=a.qcow2
measure --image-opts -f qcow2 a.qcow2
measure a b
measure --output nix a.raw
measure -o nix a.raw
measure --nix
""",
}
"""The lines of each story."""
