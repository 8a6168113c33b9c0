"""Command lines of the image tool that change images; see :mod:`img_lines`."""

STORIES = {
    "amend": """
create -f qcow2 a.qcow2 1M
amend --image-opts driver=qcow2,file.filename=a.qcow2 -o encrypt.state=inactive
amend a.qcow2 -o encrypt.state=inactive
amend a.qcow2 -o preallocation=full
amend a.qcow2 -o size=2M
amend a.qcow2 -o size=1M
amend -p a.qcow2 -o size=3M
amend a.qcow2 -o compat=0.10
amend a.qcow2 -o compat=v3
amend a.qcow2 -o compat=1.1,lazy_refcounts=on
amend a.qcow2 -o refcount_bits=3
amend a.qcow2 -o refcount_bits=64
amend a.qcow2 -o data_file=x
amend a.qcow2 -o data_file_raw=on
amend a.qcow2 -o backing_file=
amend a.qcow2 -o backing_fmt=raw
amend a.qcow2 -o ''
amend -f raw a.qcow2 -o size=3M
amend -t none a.qcow2 -o size=4M
amend a.qcow2 -o help=1
amend --force a.qcow2 -o size=5M
amend -o nix
amend -q -p -o size=6M a.qcow2
""",
    "bench": """
create -f qcow2 a.qcow2 1M
create -f raw a.raw 1M
bench -n -c 3 -t none a.qcow2
bench -n -c 3 a.qcow2
bench -i io_uring -c 3 a.qcow2
bench -i native -t none -c 3 a.qcow2
bench -i native -c 3 a.qcow2
bench -i threads -c 3 a.qcow2
bench -c 3 -d 2 -w --no-drain --flush-interval 2 a.qcow2
bench -c 3 -w --no-drain a.qcow2
bench -c 3 -S 100 -s 512 -w --pattern 3 -o 100 a.qcow2
bench -c 0 a.qcow2
bench -c 3 -q a.qcow2
bench -c 3 -U a.qcow2
bench -c 3 -w -U a.qcow2
bench -c 3 -o 2M a.qcow2
bench -c 3 -o -1 a.qcow2
bench -c 3 -s 2G a.qcow2
bench -c 3 -S 2G a.qcow2
bench -c 3 -S x a.qcow2
bench -c 3 --pattern -1 a.qcow2
bench -w -c 3 --pattern x a.qcow2
bench -c 3 --image-opts driver=qcow2,file.filename=a.qcow2
bench -c 3 -f qcow2 --image-opts driver=qcow2,file.filename=a.qcow2
bench -c 3 nix
bench a b
""",
    "bitmap": """
create -f qcow2 a.qcow2 1M
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
bitmap
bitmap a.qcow2
bitmap --add a.qcow2 b0
bitmap --add a.qcow2 b0
bitmap --add -g 32k a.qcow2 b1
bitmap --add -g 3 a.qcow2 b2
bitmap --add -g x a.qcow2 b2
bitmap -g 32k --clear a.qcow2 b1
bitmap --disable a.qcow2 b1
info a.qcow2
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
bitmap --merge b0 a.qcow2 b1
bitmap --merge b0 a.qcow2 b9
bitmap --merge b9 a.qcow2 b1
bitmap --add --merge b0 -b a.qcow2 -F qcow2 a.qcow2 b3
bitmap --add --merge b0 -F qcow2 a.qcow2 b4
bitmap --add -b a.qcow2 a.qcow2 b4
bitmap --add --merge b0 -b nix a.qcow2 b4
bitmap --add --disable a.qcow2 b5
bitmap --clear --enable a.qcow2 b5
bitmap --remove a.qcow2 b5
bitmap --remove a.qcow2 b5
bitmap --remove --add a.qcow2 b3
bitmap --enable --disable a.qcow2 b3
bitmap --remove-all a.qcow2
bitmap --remove-all a.qcow2 b3
bitmap --remove-all --add a.qcow2 b3
bitmap --add a.raw b
bitmap --add -f raw a.raw b
bitmap --add nix b
bitmap --add a.qcow2
bitmap --add a.qcow2 ''
bitmap --add a.qcow2 b c
bitmap --nix
bitmap --add --image-opts driver=qcow2,file.filename=a.qcow2 o
bitmap --add --image-opts -f qcow2 a.qcow2 o
info a.qcow2
""",
    "more bitmaps": """
create -f qcow2 a.qcow2 1M
bitmap --remove-all a.qcow2
bitmap --remove-all a.qcow2 b3
bitmap --remove-all --add a.qcow2 b3
bitmap --remove-all --remove-all a.qcow2
bitmap --add --add a.qcow2 b3
create -f raw a.raw 1M
bitmap --add a.raw b
bitmap --add -f raw a.raw b
bitmap --remove-all -f raw a.raw
bitmap --clear -f raw a.raw b
bitmap --add nix b
bitmap --add a.qcow2
bitmap --add a.qcow2 ''
bitmap --add a.qcow2 b c
bitmap --add
bitmap --nix
bitmap --add -U a.qcow2 x
bitmap --add --image-opts driver=qcow2,file.filename=a.qcow2 o
bitmap --add --image-opts -f qcow2 a.qcow2 o
bitmap --add -g 0 a.qcow2 p
bitmap --add -g 4G a.qcow2 p
bitmap --add -g 3G a.qcow2 p4
bitmap --add -g 2G a.qcow2 p4
bitmap --add -g -1 a.qcow2 p
create -f qcow2 s.qcow2 1M
create -f qcow2 t.qcow2 2M
bitmap --add s.qcow2 sb
bitmap --add t.qcow2 sb
bitmap --add -b s.qcow2 --merge sb a.qcow2 m1
bitmap --add -b t.qcow2 --merge sb a.qcow2 m2
bitmap --add -b t.qcow2 -F raw --merge sb a.qcow2 m2
info a.qcow2
create -f qcow2 -o compat=v2 v2.qcow2 1M
bitmap --add v2.qcow2 b
""",
    "commit": """
create -f qcow2 a.qcow2 1M
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
create -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
bench -w -c 1 -s 64k -o 512k --pattern 3 b.qcow2
create -f qcow2 -b b.qcow2 -F qcow2 c.qcow2 2M
bench -w -c 1 -s 64k -o 1M --pattern 5 c.qcow2
commit
commit --nix
commit a.qcow2
commit nix
commit -t nix b.qcow2
commit -r x b.qcow2
commit -r 1M b.qcow2
commit -b nix c.qcow2
commit -b c.qcow2 c.qcow2
commit -b a.qcow2 c.qcow2
map --output json c.qcow2
commit -p c.qcow2
map --output json c.qcow2
info b.qcow2
commit -d -q c.qcow2
commit -f raw c.qcow2
commit -f nix c.qcow2
commit -b '' c.qcow2
commit --image-opts driver=qcow2,file.filename=c.qcow2
commit --image-opts -f qcow2 c.qcow2
commit a b
create -f qcow2 -u -b nix.qcow2 -F qcow2 e.qcow2 1M
commit e.qcow2
create -f raw a.raw 1M
create -f qcow2 -b a.raw -F raw d.qcow2 2M
bench -w -c 1 -s 64k -o 1M --pattern 5 d.qcow2
commit d.qcow2
""",
    "rebase": """
create -f qcow2 a.qcow2 1M
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
create -f qcow2 a2.qcow2 1M
bench -w -c 2 -s 64k -o 0 --pattern 1 a2.qcow2
create -f qcow2 -F qcow2 -b a.qcow2 b.qcow2
create -f qcow2 -F qcow2 -b a.qcow2 b2.qcow2 2M
bench -w -c 1 -s 64k -o 512k --pattern 3 b.qcow2
create -f raw a.raw 1M
rebase
rebase b.qcow2
rebase -b nix b.qcow2
rebase -b a2.qcow2 b.qcow2
rebase -b a2.qcow2 -F qcow2 b.qcow2
map --output json b.qcow2
info b.qcow2
rebase -b a2.qcow2 -F nix b.qcow2
rebase -b a2.qcow2 -F raw b.qcow2
info b.qcow2
rebase -u -b nix b.qcow2
rebase -u -b nix -F qcow2 b.qcow2
info b.qcow2
rebase -b a.qcow2 -F qcow2 b.qcow2
rebase -u -b '' b.qcow2
info b.qcow2
rebase -b a.qcow2 -F qcow2 b.qcow2
map --output json b.qcow2
rebase -p -b '' b.qcow2
map --output json b.qcow2
rebase -b '' b.qcow2
rebase -b b.qcow2 -F qcow2 b.qcow2
rebase -b a.qcow2 a.raw
rebase -u -b a.qcow2 -F qcow2 -f raw a.raw
rebase -u -b a.qcow2 -f raw a.raw
rebase -b '' -f raw a.raw
rebase -u -b '' -f raw a.raw
rebase -t nix -b '' b.qcow2
rebase -T nix -b '' b.qcow2
rebase -c -b '' b2.qcow2
map --output json b2.qcow2
rebase -c -u -b '' b2.qcow2
rebase -q -p -b a.qcow2 -F qcow2 b2.qcow2
rebase -U -b a.qcow2 -F qcow2 b2.qcow2
rebase -U -u -b a.qcow2 -F qcow2 b2.qcow2
rebase --image-opts -b a.qcow2 -F qcow2 driver=qcow2,file.filename=b2.qcow2
rebase --image-opts -f qcow2 -b a.qcow2 b2.qcow2
rebase -b a.raw -F qcow2 b2.qcow2
rebase -b 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.qcow2"}}' -F qcow2 b2.qcow2
info b2.qcow2
rebase -f nix -b '' b2.qcow2
rebase -b '' nix
rebase -b '' -F raw b2.qcow2
rebase -u -b '' -F raw b2.qcow2
create -f qcow2 -o compat=v2 -F qcow2 -b a.qcow2 v2.qcow2
rebase -c -b '' v2.qcow2
create -f qcow2 -o data_file=df,data_file_raw=off -F qcow2 -b a.qcow2 df.qcow2
rebase -c -b '' df.qcow2
rebase -b '' df.qcow2
rebase a b
rebase --nix
rebase -b a.qcow2 -B qcow2 b2.qcow2
rebase -b a.qcow2 --backing b2.qcow2
create -f qcow2 -F qcow2 -b a.qcow2 b3.qcow2 1M
create -f qcow2 -F qcow2 -b b3.qcow2 b4.qcow2 1M
rebase -b a.qcow2 -F qcow2 b4.qcow2
rebase -b b4.qcow2 -F qcow2 b3.qcow2
rebase -u -b b4.qcow2 -F qcow2 b3.qcow2
info b3.qcow2
""",
    "names": """
create -f qcow2 a.qcow2 1M
create -f raw a.raw 1M
measure -l snapshot.nix=1 a.qcow2
measure -l snapshot.nix=1 nix
convert -l snapshot.nix=1 -O raw nix e4.raw
convert -l snapshot.id=1,nix=1 -O raw nix e4.raw
convert -O raw -o help a.raw
convert -O raw -o help a.raw b.raw
create -f raw -o help
create -f luks -o help
create -f qcow2 -o help x.qcow2
create -f file -o help x.qcow2
amend -f qcow2 -o help
amend -f luks -o help
amend -f raw -o help
amend -o help a.qcow2
info -f file a.raw
info --image-opts file.filename=a.qcow2
compare -f file a.raw a.raw
info nbd:unix:nix
info nbd+unix:///?socket=nix
info nbd://127.0.0.1:1/x
info nbd:127.0.0.1:1
info -f nbd nbd:127.0.0.1:1
info nbd:nix
info null-co://
info null-co:
info -f null-co null-co://
create -f qcow2 nbd:127.0.0.1:1 1M
convert -O raw a.raw nbd:127.0.0.1:1
convert -n -O raw a.raw nbd:127.0.0.1:1
convert -O raw null-co:// o.raw
info 'json:{"driver":"null-co","size":1024}'
info 'json:{"driver":"qcow2","file.filename":"a.qcow2"}'
info 'json:{"file.driver":"file","file.filename":"a.qcow2"}'
info 'json:[]'
info 'json:{"a":1'
info 'json:{"driver":"qcow2","file":"x"}'
info -f raw 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.raw"}}'
""",
    "further options": """
create -f qcow2 a.qcow2 1M
create -f raw a.raw 1M
compare a.raw a.qcow2 --strict
compare --strict -f raw -F qcow2 a.raw a.qcow2
compare -s a.raw a.raw
compare -f nix a.raw a.raw
compare --image-opts -f raw a b
compare -U a.raw a.raw
compare -p a.raw a.qcow2
compare a b c
check --repair all a.qcow2
check --output=human a.qcow2
check -U a.qcow2
check -U -r all a.qcow2
check --image-opts -f qcow2 a.qcow2
check -f qcow2 -q a.qcow2 b
map --start-offset 64k --max-length 64k a.qcow2
map -s 2M a.qcow2
map -U a.qcow2
map --image-opts driver=qcow2,file.filename=a.qcow2
map --limits a.qcow2
resize a.qcow2 -f qcow2 2M
resize --image-opts driver=qcow2,file.filename=a.qcow2 3M
resize a.qcow2 +1k
resize a.qcow2 +0
resize a.qcow2 4M 5M
resize -U a.qcow2 4M
resize --preallocation=falloc a.qcow2 5M
resize --preallocation full -f raw a.raw 2M
resize --shrink a.qcow2 1M
resize --shrink -f raw a.raw 0
resize nix 1M
snapshot -c s1 a.qcow2
snapshot --create s2 a.qcow2
snapshot -l a.qcow2
snapshot --list -U a.qcow2
snapshot -a s1 a.qcow2
snapshot -a 2 a.qcow2
snapshot -d s1 a.qcow2
snapshot -d 2 a.qcow2
snapshot -q -c s3 a.qcow2
snapshot -c '' a.qcow2
snapshot -l -c x a.qcow2
snapshot -c x -c y a.qcow2
snapshot -U -c z a.qcow2
snapshot --image-opts -l driver=qcow2,file.filename=a.qcow2
snapshot -c x nix
snapshot -c x a.qcow2 b
info --backing-chain --output json a.qcow2
info -t none a.qcow2
info -U --object secret,id=a,data=b a.qcow2
info -q a.qcow2
amend -f qcow2 -o size=2M,, a.qcow2
amend -o size=2M -o lazy_refcounts=on a.qcow2
create -f qcow2 -o backing_file=a,,b,backing_fmt=raw -u x.qcow2 1M
info x.qcow2
create -f qcow2 -o preallocation=off,cluster_size=64k,, x.qcow2 1M
commit --base a.qcow2 --drop a.qcow2
commit --rate-limit=1M a.qcow2
measure --output=json --target-format=qcow2 a.qcow2
measure -s 1M
measure -s 1M -s 2M
rebase --backing '' --backing-unsafe a.qcow2
rebase -b x -b '' a.qcow2
bitmap --add --granularity 64k a.qcow2 g
bitmap --add --gran=64k a.qcow2 g2
bitmap --re a.qcow2 g2
dd --output-format qcow2 if=a.raw of=y.qcow2
convert --target-format qcow2 --source-format raw a.raw z.qcow2
convert --par 2 -O qcow2 a.raw z.qcow2
--trace nix info a.raw
-T help=1 info a.raw
-T nix=1 info a.raw
-T file=/nix/log info a.raw
-Z
-- info a.raw
""",
}
"""The lines of each story."""
