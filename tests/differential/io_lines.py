"""Command lines of the disk exerciser, story by story; each begins in an empty folder.

A line begins with the tool: `io`, `img`, or `sh` for what makes a file.  What stands behind `<<<` is typed.
"""

STORIES = {
    "command line and reading": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
io
io -c help nix
io --nix
io -z
io -c
io --cmd=quit
io a.raw
io a.raw b.raw
io nix -c quit
io -c quit a.raw
io -c "read 0 64k" a.raw
io -f raw -c "read 0 64k" -c "write 0 64k" a.raw
io -f raw -c "read" a.raw
io -f raw -c "read 0" a.raw
io -f raw -c "read 0 1 2" a.raw
io -f raw -c "help read nix" a.raw
io -f raw -c "quit 1" a.raw
io -f raw -c "length 1" a.raw
io -f raw -c "alloc" a.raw
io -f raw -c "alloc 0 1 2" a.raw
io -f raw -c "read -x 0 1" a.raw
io -f raw -c "read -P 0 1" a.raw
io -f raw -c "read -P" a.raw
io -f raw -c "read -P nix 0 1" a.raw
io -f raw -c "read -P 256 0 1" a.raw
io -f raw -c "read -P -1 0 1" a.raw
io -f raw -c "read -P 0xff 0 1" a.raw
io -f raw -c "read -P 010 0 512" a.raw
io -f raw -c "read -P 0 0 512" a.raw
io -f raw -c "read nix 1" a.raw
io -f raw -c "read 0 nix" a.raw
io -f raw -c "read -- -1 1" a.raw
io -f raw -c "read 0 -1" a.raw
io -f raw -c "read -1 1" a.raw
io -f raw -c "read 99999999999999999999 1" a.raw
io -f raw -c "read 0 99999999999999999999" a.raw
io -f raw -c "read 9E 1" a.raw
io -f raw -c "read 0 3G" a.raw
io -f raw -c "read 0 2147483137" a.raw
io -f raw -c "read 1M 1" a.raw
io -f raw -c "read 1023k 2k" a.raw
io -f raw -c "read 0 0" a.raw
io -f raw -c "read 1 1" a.raw
io -f raw -c "read -v 0 20" a.raw
io -f raw -c "write -P 65 0 20" -c "read -v 0 20" -c "read -v 5 37" a.raw
io -f raw -c "read -vq 0 20" a.raw
io -f raw -c "read -C 0 20" a.raw
io -f raw -c "read -qC 0 20" a.raw
io -f raw -c "read -p 0 20" a.raw
io -f raw -c "read -P 65 -s 1 -l 2 0 20" a.raw
io -f raw -c "read -P 65 -s 1 -l 20 0 20" a.raw
io -f raw -c "read -P 65 -s 21 0 20" a.raw
io -f raw -c "read -P 65 -s 20 0 20" a.raw
io -f raw -c "read -P 65 -l 21 0 20" a.raw
io -f raw -c "read -s 1 0 20" a.raw
io -f raw -c "read -l 1 0 20" a.raw
io -f raw -c "read -P 65 -s nix 0 20" a.raw
io -f raw -c "read -P 65 -l nix 0 20" a.raw
io -f raw -c "read -P 65 0 512" a.raw
io -f raw -c "read -P 65 -s 18 0 512" a.raw
io -f raw -c "read -P 65 -s 18 -l 4 -v 0 512" a.raw
io -f raw -c "read -P 65 0 512" -c "read 0 1" a.raw
""",
    "writing": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
io -f raw -c "read -a 0 512" a.raw
io -f raw -c "read -r 0 512" a.raw
io -f raw -c "read -b 0 512" a.raw
io -c "read -b 0 512" a.qcow2
io -c "write -b 0 512" -c "read -b -P 0xcd 0 512" -c "write -b -P 1 1 10" -c "read -vb 0 20" a.qcow2
io -c "write -b 0 512" a.raw
io -c "write -bc 0 64k" a.qcow2
io -c "write -bz 0 64k" a.qcow2
io -c "write -c 0 64k" a.qcow2
io -c "write -c 0 512" a.qcow2
io -c "write -c 0 63k" a.qcow2
io -c "write -c 64k 128k" a.qcow2
io -c "write -c 256k 64k" a.qcow2
io -f raw -c "write -c 0 64k" a.raw
io -c "write -cz 0 64k" a.qcow2
io -c "write -n 0 64k" a.qcow2
io -c "write -u 0 64k" a.qcow2
io -c "write -z -P 1 0 64k" a.qcow2
io -c "write -z -s f 0 64k" a.qcow2
io -c "write -P 1 -s f 0 64k" a.qcow2
io -c "write -cf 0 64k" a.qcow2
io -c "write -zf 0 64k" -c map a.qcow2
io -c "write -zuf 0 64k" -c map a.qcow2
io -c "write -znu 0 1k" -c map a.qcow2
io -c "write -zn 0 64k" -c map a.qcow2
io -c "write -zn 1k 1k" -c map a.qcow2
io -c "write -z 1k 1k" -c map a.qcow2
io -c "write -b -z 1k 1k" a.qcow2
io -c "write -b -c 1k 1k" a.qcow2
io -c "write -bf 0 1k" a.qcow2
io -c "write -bn 0 1k" a.qcow2
io -c "write -s nix 0 1k" a.qcow2
sh printf 'abc' > pat
sh printf '' > empty
sh seq 1000 > big
io -c "write -s pat 0 8" -c "read -v 0 16" a.qcow2
io -c "write -s empty 0 8" a.qcow2
io -c "write -s big 0 8" -c "read -v 0 16" a.qcow2
io -c "write -s pat 0 0" a.qcow2
io -c "write -s . 0 8" a.qcow2
io -c "write -p 0 8" a.qcow2
io -c "write -q 0 8" a.qcow2
io -c "write -C 0 8" a.qcow2
io -c "write -f 0 8" a.qcow2
io -c "write -r 0 8" a.qcow2
io -c "write -P nix 0 8" a.qcow2
io -c "write -z 0 3G" a.qcow2
io -c "write -z 0 1M" a.qcow2
io -c "write 0 3G" a.qcow2
io -c "write 1M 1" a.qcow2
io -c "write -z 1M 1" a.qcow2
io -c "write -c 1M 1" a.qcow2
io -c "write nix 1" a.qcow2
io -c "write 0 nix" a.qcow2
io -c "write 0" a.qcow2
io -c "write 0 1 1" a.qcow2
io -c "write -x 0 1" a.qcow2
io -r -c "write 0 1" a.qcow2
io -r -c "write -z 0 1" a.qcow2
io -r -c "discard 0 64k" a.qcow2
io -r -c "truncate 64k" a.qcow2
io -r -c "aio_write 0 1" -c "aio_write -z 0 1" a.qcow2
io -r -c "writev 0 1" a.qcow2
io -r -c "flush" a.qcow2
io -c "write -P" a.qcow2
io -c "write 0 1 -P" a.qcow2
io -c "write 0 1 -P 3" -c "read 0 1 -P 3" a.qcow2
io -c "write 0 1 -- -P" a.qcow2
""",
    "vectors and requests in flight": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
io -c "writev 0 1k 2k" -c "readv -P 0xcd 0 1k 2k" -c "readv -v 0 8 9" a.qcow2
io -c "writev -P 3 0 1k 2k" -c "readv -P 4 0 1k 2k" -c "readv -q 0 8 9" a.qcow2
io -c "writev -f 0 1k" -c "writev -fC 0 1k" -c "writev -r 0 1k" a.qcow2
io -c "writev 0" a.qcow2
io -c "writev" a.qcow2
io -c "writev 0 nix" a.qcow2
io -c "writev nix 1" a.qcow2
io -c "writev -x 0 1" a.qcow2
io -c "writev -P nix 0 1" a.qcow2
io -c "writev 0 2G 1k" a.qcow2
io -c "writev 0 1G 1G" a.qcow2
io -c "writev -P 1 0" a.qcow2
io -c "writev 1M 512" a.qcow2
io -c "writev 0 0" a.qcow2
io -c "writev 0 99999999999999999999" a.qcow2
io -c "readv -x 0 1" a.qcow2
io -c "readv -P 1 0" a.qcow2
io -c "readv -P nix 0 1" a.qcow2
io -c "readv 0 1 nix" a.qcow2
io -c "readv nix 1" a.qcow2
io -c "readv 1M 512" a.qcow2
io -c "readv -C 0 512" a.qcow2
io -c "aio_write 0 64k" a.qcow2
io -c "aio_write -P 7 0 64k" -c "aio_flush" -c "aio_read -P 7 0 64k" a.qcow2
io -c "aio_write -P 7 0 64k" -c "aio_flush" -c "aio_read -P 8 0 64k" -c aio_flush a.qcow2
io -c "aio_read -v 0 20" -c aio_flush a.qcow2
io -c "aio_read -i 0 20" -c aio_flush a.qcow2
io -c "aio_write -i 0 20" -c aio_flush a.qcow2
io -c "aio_read -q 0 20" -c aio_flush a.qcow2
io -c "aio_read -C 0 20" -c aio_flush a.qcow2
io -c "aio_read -C 0 20 30" -c aio_flush a.qcow2
io -c "aio_read 0 20 30" -c aio_flush a.qcow2
io -c "aio_read 1M 20" -c aio_flush a.qcow2
io -c "aio_write 1M 20" -c aio_flush a.qcow2
io -c "aio_write -z 1M 20" -c aio_flush a.qcow2
io -c "aio_write -z 0 64k" -c aio_flush -c map a.qcow2
io -c "aio_write -zu 0 64k" -c aio_flush a.qcow2
io -c "aio_write -u 0 64k" -c aio_flush a.qcow2
io -c "aio_write -z -P 3 0 64k" -c aio_flush a.qcow2
io -c "aio_write -z 0 64k 64k" -c aio_flush a.qcow2
io -c "aio_write -z" -c aio_flush a.qcow2
io -c "aio_write -z nix 1" a.qcow2
io -c "aio_write -z 0 nix" a.qcow2
io -c "aio_write 0 nix" a.qcow2
io -c "aio_write nix 1" a.qcow2
io -c "aio_write -P nix 0 1" a.qcow2
io -c "aio_write -x 0 1" a.qcow2
io -c "aio_write -f 0 1" -c aio_flush a.qcow2
io -c "aio_write -q 0 1" -c aio_flush a.qcow2
io -c "aio_write -P 3 0" a.qcow2
io -c "aio_write 0 3G" a.qcow2
io -c "aio_write -z 0 3G" -c aio_flush a.qcow2
io -c "aio_read -P 3 0" a.qcow2
io -c "aio_read 0 3G" a.qcow2
io -c "aio_read -x 0 3G" a.qcow2
io -c "aio_flush nix" a.qcow2
io -c "nix" a.qcow2
io -c "" a.qcow2
io -c "   " a.qcow2
io -c " length " a.qcow2
io -c "flush" -c "f" -c "q" -c "length" a.qcow2
io -c "r 0 512" -c "w 0 512" -c "rv 0 1" -c "wv 0 1" -c "aio_r 0 1" -c l -c i -c m -c t -c h -c '?' -c 'd 0 1' -c s a.qcow2
""",
    "extent and modes": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
img create -q -f qcow2 odd.qcow2 1000k
sh truncate -s 1000 odd.raw
io -f raw -c length a.raw
io -f raw -c length odd.raw
io -c length odd.qcow2
io -f raw -c "truncate 2M" -c length a.raw
io -f raw -c "truncate 1000" -c length a.raw
io -f raw -c "truncate nix" a.raw
io -f raw -c "truncate -1" a.raw
io -f raw -c "truncate" a.raw
io -f raw -c "truncate 1 2" a.raw
io -f raw -c "truncate -m" a.raw
io -f raw -c "truncate -m nix 1M" a.raw
io -f raw -c "truncate -m full 1M" -c length a.raw
io -f raw -c "truncate -m full 512k" a.raw
io -f raw -c "truncate -x full 512k" a.raw
io -f raw -c "truncate -m falloc 2M 3" a.raw
io -c "truncate 2M" -c length -c map a.qcow2
io -c "truncate -m metadata 3M" -c length -c map a.qcow2
io -c "truncate -m falloc 4M" -c length -c map a.qcow2
io -c "truncate 1M" -c length -c map a.qcow2
io -c "truncate 7E" -c length -c map a.qcow2
io -c "truncate 100" -c length -c map a.qcow2
img snapshot -c x a.qcow2
io -c "truncate 64k" a.qcow2
io -c "truncate 4T" a.qcow2
img create -q -f qcow2 b.qcow2 1M
io -c "write 64k 64k" -c "write 256k 128k" -c map b.qcow2
io -c "alloc 0" -c "alloc 64k" -c "alloc 64k 64k" -c "alloc 0 128k" -c "alloc 0 1M" -c "alloc 64k 512" -c "alloc 1M" -c "alloc 2M" -c "alloc 0 2M" b.qcow2
io -c "alloc 1" -c "alloc 0 1" -c "alloc nix" -c "alloc 0 nix" -c "alloc 512 3G" -c "alloc 0 99999999999999999999" -c "alloc 64k 0" b.qcow2
io -f raw -c "alloc 0 1M" -c map a.raw
io -c "discard 64k 64k" -c map b.qcow2
io -c "discard 0 0" -c "discard -q 0 64k" -c "discard -C 0 64k" -c "discard -x 0 64k" -c "discard 0 64k 3" b.qcow2
io -c "discard nix 64k" -c "discard 0 nix" -c "discard 0" -c "discard 1M 1" -c "discard 0 3G" -c "discard 0 2G" -c "discard 1 1" b.qcow2
io -d unmap -c "discard 256k 64k" -c map b.qcow2
io -d on -c "discard 256k 64k" -c map b.qcow2
io -d off -c "discard 256k 64k" -c map b.qcow2
io -d nix -c "discard 256k 64k" -c map b.qcow2
io -t nix -c "discard 256k 64k" -c map b.qcow2
io -i nix -c "discard 256k 64k" -c map b.qcow2
io -i native -c "length" b.qcow2
io -k -c "length" b.qcow2
io -n -k -c "length" b.qcow2
io -n -i native -c "length" b.qcow2
io -i io_uring -c "length" b.qcow2
io -i threads -c "length" b.qcow2
io -n -c "read 0 512" -c "read 1 1" b.qcow2
io -m -c "read 0 512" -c "read 1 1" b.qcow2
io -n -m -c "read 0 512" -c "read 1 1" b.qcow2
io -s -c "write 0 64k" -c map b.qcow2
io -c map b.qcow2
io -C -c "read 0 64k" -c map b.qcow2
io -U -c map b.qcow2
io -U -r -c map b.qcow2
io -t none -t directsync -c map b.qcow2
io -t writethrough -c "write 0 1" b.qcow2
io -t unsafe -c "write 0 1" b.qcow2
io -c info b.qcow2
io -f raw -c info a.raw
io -c info odd.qcow2
io -c "sleep 10" -c "sleep nix" -c "sleep" -c "sleep -1" -c "sleep 1 2" -c "sleep 99999999999999999999" b.qcow2
io -c "sleep 1x" -c "sleep 0x1" -c "sleep 0" b.qcow2
""",
    "open and reopen": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
io -c "read 0 1"
io -c "length" -c "nix" -c "help nix" -c "close" -c "map" -c "aio_flush" -c "break a b" -c "sleep 1" -c "info"
io -c "open a.qcow2" -c length -c close -c length
io -c "open a.qcow2" -c "open a.qcow2" -c length
io -c "open" a.qcow2
io -c "open"
io -c "open nix"
io -c "open -x a.qcow2"
io -c "open a.qcow2 b.qcow2"
io -c "open -r a.qcow2" -c "write 0 1"
io -c "open -s a.qcow2" -c "write 0 1" -c close -c "open a.qcow2" -c map
io -c "open -C b.qcow2" -c "read 0 1" -c map
io -c "open -n a.qcow2" -c "read 0 1"
io -c "open -k a.qcow2" -c "read 0 1"
io -c "open -i native a.qcow2" -c "read 0 1"
io -c "open -i nix a.qcow2" -c "read 0 1"
io -c "open -t nix a.qcow2" -c "read 0 1"
io -c "open -d nix a.qcow2" -c "read 0 1"
io -c "open -U a.qcow2" -c "read 0 1"
io -c "open -rU a.qcow2" -c "read 0 1"
io -c "open -o driver=raw a.raw" -c "length"
io -c "open -o driver=qcow2,file.driver=file,file.filename=a.qcow2" -c "length"
io -c "open -o driver=nix a.qcow2" -c "length"
io -c "open -o nix=3 a.qcow2" -c "length"
io -c "open -o nix a.qcow2" -c "length"
io -c "open -o lazy-refcounts=on a.qcow2" -c "info"
io -c "open -o driver=qcow2 -o lazy-refcounts=on a.qcow2" -c "info"
io -c "open -o driver=raw,read-only=on a.raw" -c "write 0 1"
io -c "open a.raw" -c "write 0 1"
io -c "open -o file.driver=blkdebug a.raw" -c "length"
io -c "open -o driver=raw,file.driver=blkdebug,file.image.filename=a.raw" -c "length"
io -c "close" -c "close" a.qcow2
io -c "close nix" a.qcow2
io -c "o a.qcow2" -c length -c c -c length
io -c "open -t" a.qcow2
io -c "reopen" a.qcow2
io -c "reopen -r" -c "write 0 1" -c "reopen -w" -c "write 0 1" a.qcow2
io -c "reopen -r" -c "reopen -r" a.qcow2
io -c "reopen -rw" a.qcow2
io -c "reopen -r -w" a.qcow2
io -c "reopen -w -w" a.qcow2
io -c "reopen nix" a.qcow2
io -c "reopen -x" a.qcow2
io -c "reopen -c none" -c "read 0 1" a.qcow2
io -c "reopen -c nix" a.qcow2
io -c "reopen -c writethrough" -c "write 0 1" a.qcow2
io -c "reopen -o lazy-refcounts=on" a.qcow2
io -c "reopen -o nix=3" a.qcow2
io -c "reopen -o read-only=on" -c "write 0 1" a.qcow2
io -c "reopen -r -o read-only=off" a.qcow2
io -c "reopen -c none -o cache.direct=off" a.qcow2
io -c "reopen -o cache.direct=on -c none" a.qcow2
io -c "reopen -o file.locking=off" a.qcow2
io -c "reopen -o driver=raw" a.qcow2
io -c "reopen -o file.filename=nix" a.qcow2
io -c "reopen -o backing.nix=3" b.qcow2
io -c "reopen -o backing=nix" b.qcow2
io -c "reopen -o overlap-check=all" -c "reopen -o l2-cache-size=128k" -c "reopen -o l2-cache-size=nix" b.qcow2
io -c "reopen"
io -r -c "reopen -w" -c "write 0 1" a.qcow2
io -r -c "reopen" a.qcow2
io -c "reopen -o" a.qcow2
io -c "reopen -o detect-zeroes=on" -c "reopen -o discard=on" a.qcow2
io -c "reopen -o detect-zeroes=unmap" -c "reopen -o force-share=on" a.qcow2
""",
    "breakpoints, prompt and names": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
io -c "break write_aio x" a.qcow2
io -c "break write_aio x" blkdebug::a.qcow2
io -c "break nix x" blkdebug::a.qcow2
io -c "break write_aio x" -c "aio_write 0 64k" -c "wait_break x" -c "length" -c "resume x" -c "aio_flush" blkdebug::a.qcow2
io -c "break write_aio x" -c "remove_break x" -c "remove_break x" -c "aio_write 0 64k" -c "aio_flush" blkdebug::a.qcow2
io -c "resume x" -c "remove_break x" a.qcow2
io -c "resume x" -c "remove_break x" blkdebug::a.qcow2
io -c "break write_aio" -c "break" -c "break a b c" -c "resume" -c "wait_break" -c "remove_break" blkdebug::a.qcow2
io -c "break write_aio x" -c "aio_write 0 64k" -c "wait_break x" -c "remove_break x" -c "aio_flush" blkdebug::a.qcow2
io -c "break cow_read x" -c "aio_write 1k 1k" -c "wait_break x" -c "aio_write 2k 1k" -c "resume x" -c "aio_flush" blkdebug::b.qcow2
io -f raw -c "break pwritev x" -c "break pwritev y" -c "aio_write 0 64k" -c "wait_break x" -c "resume x" -c "resume y" -c "aio_flush" blkdebug::a.raw
io -c "help break" -c "info" blkdebug::a.qcow2
io -c "zone_report 0 1" a.qcow2
io -c "zrp 0 1" -c "zo 0 1" -c "zone_open 0 1" -c "zone_close 0 1" -c "zone_finish 0 1" -c "zone_reset 0 1" -c "zone_append 0 1" a.qcow2
io -c "zone_report 0" -c "zone_open" -c "zone_append 0" -c "zone_report nix 1" -c "zone_append 0 nix" -c "zone_open 0 nix" a.qcow2
io <<< length\\n
io a.qcow2 <<< length\\n
io a.qcow2 <<< length
io a.qcow2 <<< length\\n\\nnix\\nread 0 1\\nq\\nlength\\n
io a.qcow2 <<< read -P 3 0 1\\nlength\\n
io a.qcow2 <<< nix\\n
io -c length a.qcow2 <<< nix\\n
io a.qcow2 <<< aio_write 0 64k\\nlength\\n
io 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.qcow2"}}' -c length
io 'json:{"driver":"qcow2","file":{"driver":"file","filename":"nix"}}' -c length
io 'json:nix' -c length
io 'nix:nix' -c length
io 'file:a.qcow2' -c length
io '' -c length
io --image-opts driver=qcow2,file.filename=a.qcow2 -c length
io --image-opts -f raw driver=qcow2,file.filename=a.qcow2 -c length
io --image-opts -f raw file.filename=a.qcow2 -c length
io --image-opts file.filename=a.qcow2 -c length
io --image-opts a.qcow2 -c length
io --image-opts nix=3 -c length
io --image-opts driver=nix,file.filename=a.qcow2 -c length
io --image-opts driver=qcow2,file.filename=a.qcow2 -c "open a.qcow2" -c close -c "open a.qcow2" -c "open file.filename=a.qcow2" -c length
io -f nix a.qcow2
io -f qcow2 a.raw
io -f qcow2 'json:{"driver":"raw","file":{"driver":"file","filename":"a.raw"}}' -c length
io --object nix -c length a.qcow2
io --object secret,id=a,data=x -c length a.qcow2
io --object secret,id=a -c length a.qcow2
io -T nix -c length a.qcow2
io -r -f raw a.raw -c "read 0 1"
io -c "length" -- a.qcow2
io -o nix a.qcow2
io --c length a.qcow2
io --ca none -c length a.qcow2
io --cm=length a.qcow2
io --image-opt driver=raw,file.filename=a.raw -c length
""",
    "odd images": """
img create -q -f raw a.raw 1M
img create -q -f qcow2 a.qcow2 1M
img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
sh printf ' !"#$%%&()*09AZaz~\\177\\200\\377_[]{}|' > pat
io -c "write -s pat 0 64" -c "read -v 0 64" a.qcow2
io -C -r -c "length" b.qcow2
io -C -s -c "read 0 1" -c map b.qcow2
io -r -s -c "write 0 1" -c map b.qcow2
io -s -c info b.qcow2
io -c "write -zn 0 3G" a.qcow2
io -f null-co -c info -c length -c map -c "alloc 0" null-co://
io -c info -c "read 0 1" -c map null-co://
io --image-opts -c info -c map driver=raw,file.driver=qcow2,file.file.filename=a.qcow2
io --image-opts -c info -c map driver=raw,size=4k,file.driver=qcow2,file.file.filename=a.qcow2
io --image-opts -c info -c map -c "alloc 0 1M" driver=copy-on-read,file.driver=qcow2,file.file.filename=b.qcow2
io --image-opts -c info driver=file,filename=a.qcow2
io --image-opts -c info -c map driver=blkdebug,image.filename=a.qcow2
io -c info a.qcow2
img create -q -f qcow2 -o compat=0.10 o.qcow2 1M
io -c info o.qcow2
img create -q -f qcow2 -o cluster_size=512 -b a.qcow2 -F qcow2 s.qcow2 10M
io -c info s.qcow2
img create -q -f qcow2 -o data_file=d.raw,data_file_raw=on x.qcow2 1M
io -c info x.qcow2
sh printf 'QFI\\373\\0\\0\\0\\3' > qhead; head -c 504 /dev/zero >> qhead
io -c "write 0 512" -c "write -s qhead 0 512" -c "write -s qhead 512 512" -c "write -s qhead 0 4" -c "write -s qhead 0 1M" -c "write -z 0 512" -c "write 1M 1" a.raw
io -f raw -c "read 1.5k 512" -c "read 0x200 1b" -c "read 010 8" -c "read 1e2 1" -c "read 1K 1" -c "read 0.3k 1" -c "read 1kk 1" -c "read +5 1" -c "read 0x 1" -c "read 1.k 1" -c "read .5k 1" -c "read 0x1k 1" -c "read 1.5 1" a.raw
io -c "read 0	1" a.qcow2
""",
    "odd words": """
img create -q -f qcow2 a.qcow2 1M
io -c "map 1" -c "map 1 2" -c "flush 1" -c "info 1" -c "remove_break 1 2" -c "length 1" -c "close 1" a.qcow2
io -c "zone_append 0 1 1" -c "zone_append 0 1 1 1" -c "zone_append nix 1 1" -c "zone_append 0 nix 1" -c "zone_append 0 3G 1" a.qcow2
io -c "zone_report 0 nix" -c "zone_report 0 0" -c "zone_report 0 99999999999999999999" -c "zone_reset 0 nix" a.qcow2
io -c "read --nix 0 1" a.qcow2
io -c "reopen -o read-only=on,lazy-refcounts=on" -c "reopen -c none -c nix" -c "reopen -o a=1 -o lazy-refcounts=on" -c "reopen -o lazy-refcounts=nix" -c "reopen -o file=nix" -c "reopen -r -o file.read-only=on" a.qcow2
io -c "reopen -r" -c "reopen -w" -c "info" -c "reopen -o discard=nix" -c "reopen -o detect-zeroes=nix" -c "reopen -o node-name=x" a.qcow2
io -c "open -o read-only=nix a.qcow2" -c "open -o cache.direct=on,cache.no-flush=on a.qcow2" -c "length"
io -c "open -o read-only=on -r a.qcow2" -c "length"
io -c "open -t none -n a.qcow2" -c "read 0 1"
io -c "open -o file.filename=a.qcow2 a.qcow2" -c "read 0 1"
io -c "open -o file.locking=off a.qcow2" -c "read 0 1"
io -c "open -o file.filename=a.qcow2" -c "read 0 1"
io -c "open -o l2-cache-size=nix a.qcow2"
io -c "open -o lazy-refcounts=nix a.qcow2"
io -c "open -o cache-size=1,l2-cache-size=3M a.qcow2"
io -c "open -o backing.driver=null-co a.qcow2" -c "read 0 1"
io --image-opts -r -c "write 0 1" driver=qcow2,file.filename=a.qcow2
io --image-opts -c "write 0 1" driver=qcow2,file.filename=a.qcow2,read-only=on
io --image-opts -n -c "write 0 1" driver=qcow2,file.filename=a.qcow2,cache.direct=nix
""",
    "parts of clusters made zero": """
img create -q -f qcow2 a.qcow2 1000k
io -c "write 0 64k" -c "write -zn 1k 1k" -c "write -zn 65k 1k" -c "write -zn 63k 70k" -c "write -z 60k 200k" -c "write -zn 990k 10k" -c map a.qcow2
img map --output json a.qcow2
img create -q -f qcow2 -o extended_l2=on -b a.qcow2 -F qcow2 b.qcow2 1M
io -c "write 2k 2k" -c "write -zn 2k 1k" -c "write -zn 5k 1k" -c "write -zn 65k 1k" -c "write -zn 3k 70k" -c "write -z 3k 70k" -c map b.qcow2
img create -q -f qcow2 -o compat=0.10 -b a.qcow2 -F qcow2 c.qcow2 1M
io -c "write -zn 2k 1k" -c "write -zn 65k 1k" -c "write -zn 64k 64k" -c "write -z 900k 1k"  -c map c.qcow2
img compare b.qcow2 c.qcow2
""",
    "data stays as written": """
img create -q -f qcow2 a.qcow2 1M
img create -q -f raw a.raw 1M
io -f raw -c "write -P 1 0 1M" -c "discard 64k 64k" -c "write -zu 256k 64k" -c "write -z 512k 1" a.raw
io -c "write -c -P 9 512k 128k" -c "write -P 2 0 512k" -c "write -P 2 640k 384k" -c "write -P 3 1000 3000" -c "write -z 128k 64k" -c "discard 256k 128k" -c map a.qcow2
img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2 2M
io -c "write -P 4 63k 2k" -c "aio_write -P 5 1M 64k" -c aio_flush -c "aio_write -z 1100k 10k" -c aio_flush -c "truncate 3M" -c map b.qcow2
io -s -c "write -P 7 0 3M" -c "read -P 7 0 3M" b.qcow2
io -C -c "read -P 2 600k 1k" -c "read -P 9 600k 1k" -c map b.qcow2
io -d off -c "write -P 6 1536k 64k" -c "discard 1536k 64k" -c "read -P 6 1536k 64k" b.qcow2
io -c "read -P 4 63k 2k" -c "read -P 0 1100k 10k" -c "read -v 64000 1100" b.qcow2
img convert -f qcow2 -O raw a.qcow2 a.out
img convert -f qcow2 -O raw b.qcow2 b.out
img check b.qcow2
img map --output json b.qcow2
io -f null-co -c info -c length null-co://
io -f file -c "read -P 1 0 512" a.raw
""",
    "names of what there is not": """
io -c length json:{}
io -c length --image-opts driver=nbd,path=/nowhere
io -c length --image-opts driver=nbd,host=localhost,port=1
io -c length --image-opts driver=raw,file.driver=nbd,file.path=/nowhere
io -c length --image-opts driver=nbd,server.type=unix,server.path=/nowhere
io -c length -f raw nbd:unix:/nowhere
io -c length -f raw nbd://localhost:1/
""",
}
