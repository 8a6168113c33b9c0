"""Command lines of the image tool about encrypted images; see :mod:`img_lines`."""

STORIES = {
    "encryption": """
create -f qcow2 a.qcow2 1M
bench -w -c 1 -s 64k -o 0 --pattern 1 a.qcow2
create -f raw a.raw 1M
bench -f raw -w -c 3 -s 64k -o 64k --pattern 1 a.raw
create -f qcow2 -o encrypt.format=luks x.qcow2 1M
create -f qcow2 -o encrypt.key-secret=k x.qcow2 1M
create -f qcow2 -o encryption=on x.qcow2 1M
create -f qcow2 -o encryption=on,encrypt.format=aes x.qcow2 1M
create -f luks x.luks 1M
create -f luks -o key-secret=nix x.luks 1M
create --object secret,id=k,data=abc -f luks -o key-secret=k,cipher-alg=nix x.luks 1M
create --object secret,id=k,data=abc -f luks -o key-secret=k,cipher-alg=aes-128,iter-time=10,preallocation=full x.luks 1M
create --object secret,id=k,data=abc -f luks -o key-secret=k,detached-header=on,iter-time=10 x.luks 1M
create --object secret,id=k,data=abc -f luks -o key-secret=k,iter-time=0 x.luks 1M
create --object secret,id=k -f luks -o key-secret=k x.luks 1M
create --object secret,data=abc -f luks -o key-secret=k x.luks 1M
create -q --object secret,help x
convert -O qcow2 -o encryption=on a.raw c1.qcow2
convert -c -O qcow2 -o encryption=on a.raw c1.qcow2
convert --object secret,id=k,data=abc -c -O qcow2 -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10 a.raw c1.qcow2
convert --object secret,id=k,data=abc -O qcow2 -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10 a.raw e1.qcow2
compare --object secret,id=k,data=abc --image-opts driver=qcow2,encrypt.key-secret=k,file.filename=e1.qcow2 driver=raw,file.filename=a.raw
convert --object secret,id=k,data=abc --image-opts -O raw driver=qcow2,encrypt.key-secret=k,file.filename=e1.qcow2 e1.raw
convert -O raw e1.qcow2 e2.raw
measure -O luks --size 1G --output json
measure -O luks --size 1G
measure -O qcow2 -o encrypt.format=luks,encrypt.key-secret=x,encrypt.iter-time=10 --size 1G
measure --object secret,id=x,data=abc -O qcow2 -o encrypt.format=luks,encrypt.key-secret=x,encrypt.iter-time=10 --size 1G
measure --object secret,id=x,data=abc -O qcow2 -o encrypt.format=luks,encrypt.key-secret=x,encrypt.iter-time=10 a.qcow2
measure --object secret,id=x,data=abc -O qcow2 -o encrypt.format=aes,encrypt.key-secret=x --size 1G
measure --object secret,id=x,data=abc -O luks -o iter-time=10,key-secret=x --size 1G
measure --object secret,id=x,data=abc -O luks -o iter-time=10,key-secret=x a.qcow2
measure --object secret,id=x,data=abc -O luks -o iter-time=10,key-secret=x,cipher-alg=aes-128 a.qcow2
measure --object secret,id=x,data=abc -O luks -o iter-time=10,key-secret=x,preallocation=full a.qcow2
measure --object secret,id=x,data=abc -O luks -o iter-time=10,key-secret=x,cipher-alg=nix a.qcow2
measure -O luks -o cipher-alg=aes-128 a.qcow2
create --object secret,id=k,data=abc -f luks -o key-secret=k,iter-time=10 l.luks 1M
create --object secret,id=k,data=abc -f qcow2 -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10 l.qcow2 1M
create --object secret,id=k,data=abc -f qcow2 -o encryption=on,encrypt.key-secret=k a.aes 1M
create --object secret,id=k,data=abc -f qcow2 -o encrypt.format=aes,encrypt.key-secret=k a.aes 1M
info a.aes
info l.luks
info l.qcow2
info --object secret,id=k,data=abc --image-opts driver=luks,key-secret=k,file.filename=l.luks
amend l.luks -o state=active,new-secret=k
amend --object secret,id=k,data=abc l.luks -o state=active,new-secret=k
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=luks,key-secret=k,file.filename=l.luks -o state=active,new-secret=n,iter-time=10
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=k,file.filename=l.qcow2 -o encrypt.state=active,encrypt.new-secret=n,encrypt.iter-time=10
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=k,file.filename=l.qcow2 -o encrypt.state=active,encrypt.new-secret=n,encrypt.iter-time=10,encrypt.keyslot=0
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=k,file.filename=l.qcow2 -o encrypt.state=active,encrypt.new-secret=n,encrypt.iter-time=10,encrypt.keyslot=9
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=k,file.filename=l.qcow2 -o encrypt.state=nix,encrypt.new-secret=n
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=k,file.filename=l.qcow2 -o encrypt.new-secret=n
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=n,file.filename=l.qcow2 -o encrypt.state=inactive,encrypt.old-secret=k
amend --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=n,file.filename=l.qcow2 -o encrypt.state=inactive,encrypt.old-secret=n
amend --force --object secret,id=k,data=abc --object secret,id=n,data=new --image-opts driver=qcow2,encrypt.key-secret=n,file.filename=l.qcow2 -o encrypt.state=inactive,encrypt.old-secret=n
amend a.qcow2 -o encrypt.format=luks
amend -f luks -o nix=1 l.luks
amend --object secret,id=k,data=abc --image-opts -o keyslot=9,state=inactive driver=luks,key-secret=k,file.filename=l.luks
amend --object secret,id=k,data=abc --image-opts -o keyslot=1,state=inactive driver=luks,key-secret=k,file.filename=l.luks
amend --object secret,id=k,data=abc --image-opts -o keyslot=0,state=inactive driver=luks,key-secret=k,file.filename=l.luks
amend --object secret,id=k,data=abc --image-opts -o size=2M driver=luks,key-secret=k,file.filename=l.luks
convert --object secret,id=k,data=abc -O luks -o key-secret=k,iter-time=10 a.qcow2 o.luks
convert --object secret,id=k,data=abc --image-opts -O raw driver=luks,key-secret=k,file.filename=o.luks o.raw
check --object secret,id=k,data=abc --image-opts driver=luks,key-secret=k,file.filename=o.luks
map --object secret,id=k,data=abc --image-opts driver=luks,key-secret=k,file.filename=o.luks
map --output json --object secret,id=k,data=abc --image-opts driver=luks,key-secret=k,file.filename=o.luks
resize --object secret,id=k,data=abc --image-opts driver=luks,key-secret=k,file.filename=o.luks 7M
check l.qcow2
resize l.luks 2M
snapshot -l l.luks
map l.qcow2
bench -c 1 l.qcow2
""",
}
"""The lines of each story."""
