# Every kind of file, name and attribute that a layer may hold.
import os
import stat

os.umask(0)
os.mkdir("/special")
os.chdir("/special")


def write(path, content=b"content\n", mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


# Sizes around the tar block, and a file with holes.
for size in (0, 1, 511, 512, 513, 10240):
    write(f"size-{size}", b"x" * size)
with open("holes", "wb") as file:
    file.seek(3 << 20)
    file.write(b"in the middle")
    file.truncate(8 << 20)
    file.seek((8 << 20) - 5)
    file.write(b"end\n.")

# Modes and owners, also beyond what a tar header's octal digits can hold.
for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o6711, 0o1644):
    write(f"mode-{mode:04o}", mode=mode)
for mode in (0o700, 0o1777, 0o2775):
    os.mkdir(f"directory-{mode:04o}")
    os.chmod(f"directory-{mode:04o}", mode)
for owner in (1, 1000, 65534, 3000000, 4000000000):
    write(f"owner-{owner}", mode=0o4750)
    os.chown(f"owner-{owner}", owner, owner + 1)
    os.chmod(f"owner-{owner}", 0o4750)

# Devices with small numbers and the largest that XFS can hold, fifos.
os.mknod("null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
os.mknod("character", 0o600 | stat.S_IFCHR, os.makedev(511, 262143))
os.mknod("block", 0o660 | stat.S_IFBLK, os.makedev(259, 70000))
os.mkfifo("fifo", 0o622)

# Links: hard ones of each kind across directories; symbolic ones that lead anywhere or nowhere.
os.mkdir("links")
write("links/one")
os.link("links/one", "two")
os.link("links/one", "links/three")
os.symlink("one", "links/symbolic")
os.link("links/symbolic", "symbolic-too", follow_symlinks=False)
os.link("fifo", "links/fifo")
os.link("null", "links/null")
os.symlink("/etc/passwd", "absolute")
os.symlink("../etc/passwd", "relative")
os.symlink("../../../../../../etc/passwd", "above-the-root")
os.symlink("/nowhere/at/all", "dangling")
os.symlink("loop", "loop")
os.symlink("/special/links", "to-directory")
os.symlink("/".join(["long-target"] * 60), "to-far")
os.lchown("dangling", 1000, 1000)

# Names: long ones, bytes that are no text, and characters that tools stumble over.
write("n" * 255)
deep = "/".join(["deep" * 20] * 8)
os.makedirs(deep)
write(f"{deep}/file")
os.link(f"{deep}/file", f"{deep}/{'h' * 120}")
for name in ("ünïcödé-名前-🐳", "with space", "new\nline", "tab\t", "back\\slash", "-dash", "'quote\"", "*", "%41", "$HOME", "\x7f"):
    write(name)
write(b"latin1-\xe9")
os.symlink(b"latin1-\xe9", b"to-latin1-\xe9")
os.mkdir("ünïcödé-directory")
write("ünïcödé-directory/file")

# Extended attributes: text, bytes, empty, large; on files and directories; and what makes `ping` work.
write("attributes")
os.setxattr("attributes", "user.text", "value ü".encode())
os.setxattr("attributes", "user.bytes", bytes(range(256)))
os.setxattr("attributes", "user.large", b"v" * 2000)
os.setxattr("attributes", "user.näme", b"v")
write("attribute-empty")
os.setxattr("attribute-empty", "user.empty", b"")
os.mkdir("attributes-directory")
os.setxattr("attributes-directory", "user.directory", b"v")
write("capable", mode=0o755)
# struct vfs_cap_data, revision 2, effective: CAP_NET_RAW permitted
os.setxattr("capable", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))

# Times: before the epoch, past 2038, and to the nanosecond; of a link and of a directory too.
write("before-1970")
os.utime("before-1970", ns=(0, -3600 * 10**9))
write("after-2038")
os.utime("after-2038", ns=(0, 4102444800 * 10**9))
write("nanoseconds")
os.utime("nanoseconds", ns=(0, 1234567890123456789))
os.utime("absolute", ns=(0, 987654321987654321), follow_symlinks=False)
os.mkdir("old-directory")
write("old-directory/file")
os.utime("old-directory", ns=(0, 1000000000 * 10**9 + 1))

# What the layer 05-replaced will replace.
for name in ("file", "directory", "link", "emptied", "recreated", "relinked", "touched"):
    if name == "file":
        write("replaced-file")
    elif name == "link":
        os.symlink("links", "replaced-link")
    else:
        os.makedirs(f"replaced-{name}/sub/sub")
        for file in ("a", "b", "sub/c", "sub/sub/d"):
            write(f"replaced-{name}/{file}", name.encode())
        os.link(f"replaced-{name}/a", f"replaced-{name}/sub/a-too")
