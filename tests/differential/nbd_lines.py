"""Command lines of the NBD server for one image; each is given to a program that finds the same images in its folder.

Those behind SERVED let clients in on the socket `{socket}`, and are told to end once they have been looked at.
"""

IMAGES = """
qemu-img create -q -f raw r.raw 1M
qemu-img create -q -f qcow2 q.qcow2 1M
qemu-io -f qcow2 -c "write -q -P 7 0 64k" q.qcow2
qemu-img snapshot -c s1 q.qcow2
qemu-io -f qcow2 -c "write -q -P 8 0 64k" q.qcow2
qemu-img bitmap --add q.qcow2 b0
qemu-img bitmap --add --disable q.qcow2 b1
"""

REFUSED = """

r.raw r.raw
-Q r.raw
--bogus r.raw
-P 1 r.raw
--partition=1 r.raw
-k
--port
--s
--d
--tls r.raw
--h
--nocache=3 r.raw
-p x -b 127.0.0.1 r.raw
-p -1 -b 127.0.0.1 r.raw
-b nosuchhost.invalid -p 1 -f raw r.raw
-k rel r.raw
-k "" r.raw
-k /nowhere/s r.raw
-k /nowhere/s nope.raw
-e x r.raw
-e -1 r.raw
-e 99999999999 r.raw
-e 2 -e 3x r.raw
-o x r.raw
-o 1k r.raw
-k {socket} -f raw -o -1 r.raw
-k {socket} -f raw -o 1048577 r.raw
-k {socket} -f raw -o 9223372036854775807 r.raw
-k {socket} -f raw -o 18446744073709551616 r.raw
-n --cache=none r.raw
--cache=bogus r.raw
--cache=none --cache=none r.raw
--aio=bogus r.raw
--aio=native --aio=native r.raw
-k {socket} --aio=native -f raw r.raw
--discard=x r.raw
--discard=on --discard=on r.raw
--detect-zeroes=x r.raw
--detect-zeroes=unmap r.raw
--detect-zeroes=unmap --discard=unmap r.raw
-l snapshot.foo=3 q.qcow2
-k {socket} -l snapshot.id=3 q.qcow2
-k {socket} -l snapshot.name=3 q.qcow2
-k {socket} -l nope q.qcow2
-k {socket} -l s1 -f raw r.raw
-k {socket} -l s1 -s q.qcow2
-k {socket} -l s1 -o 512 q.qcow2
-k {socket} -B nope q.qcow2
-k {socket} -B b0 -B nope q.qcow2
-k {socket} nope.raw
-k {socket} ""
-k {socket} .
-k {socket} -f qcow2 r.raw
-k {socket} -f bogus r.raw
-k {socket} --image-opts r.raw
-k {socket} --image-opts -f raw driver=raw,file.filename=r.raw
-k {socket} --image-opts driver=bogus
-k {socket} --image-opts driver=raw,file.filename=r.raw,foo=1
-k {socket} -f raw nbd:unix:/nowhere/s
-k {socket} nbd://localhost:1/
-k {socket} --pid-file=/nowhere/pid -f raw r.raw
-k {socket} --pid-file=/nowhere/pid nope.raw
-k {socket} --selinux-label=foo -f raw r.raw
--selinux-label=foo -f raw r.raw
--handshake-limit=x r.raw
--handshake-limit=-1 r.raw
--tls-authz=x r.raw
--tls-hostname=x r.raw
-k /nowhere/s --tls-creds=x nope.raw
--tls-creds=x --tls-hostname=y r.raw
-k {socket} --tls-creds=s --object secret,id=s,data=x r.raw
-c /dev/nbd0 --tls-creds=x r.raw
--object bogus,id=x r.raw
--object secret,id=x r.raw
--object secret,help
-L r.raw
-L -x foo
-L -D foo
-L -o 5
-L -c /dev/nbd0
-L -d
-L -f raw
-L -l s1
-L -B x
-L -A
-L -n
-L --cache=none
-L --aio=threads
-L --discard=on
-L --fork
-L -k /nowhere/s
-L -b 127.0.0.1 -p 1
-L --tls-creds=x
-L --tls-authz=x
-L --tls-hostname=x
-L --tls-creds=x --tls-authz=y
"""

SERVED = """
-k {socket} r.raw
-k {socket} -r r.raw
-k {socket} -f raw -x disk -D "a disk" r.raw
-k {socket} -f raw -t -v r.raw
-k {socket} -f raw -e 0 r.raw
-k {socket} -f raw -e 3 -r r.raw
-k {socket} -f raw --shared=0x2 r.raw
-k {socket} -f raw --handshake-limit=5 r.raw
-k {socket} -b 127.0.0.1 -p 1 -f raw r.raw
-k {socket} -o 524288 -f raw r.raw
-k {socket} -o 0x200 -f raw r.raw
-k {socket} -o 1048576 -f raw r.raw
-k {socket} -l s1 q.qcow2
-k {socket} -l 1 q.qcow2
-k {socket} -l snapshot.id=1,snapshot.name=s1 q.qcow2
-k {socket} -B b0 q.qcow2
-k {socket} -B b1 -r q.qcow2
-k {socket} -B b0 -r q.qcow2
-k {socket} -A -B b1 -B b0 q.qcow2
-k {socket} -s -f raw r.raw
-k {socket} -s -r -f raw r.raw
-k {socket} -n -f raw r.raw
-k {socket} --cache=directsync -f raw r.raw
-k {socket} --aio=native --cache=none -f raw r.raw
-k {socket} --aio=threads -f raw r.raw
-k {socket} --discard=unmap --detect-zeroes=unmap -f raw r.raw
-k {socket} --detect-zeroes=on -f raw r.raw
-k {socket} --image-opts driver=raw,file.filename=r.raw
-k {socket} --image-opts file.filename=q.qcow2,driver=qcow2
-k {socket} --pid-file=pid -f raw r.raw
-k {socket} -T bogus -f raw r.raw
"""
