#!/bin/sh
# The first process of a guest (run.ts starts it, nobody else). Its root is the host's, read through hostfs; over it
# goes an overlay with a tmpfs, so that the guest may write anywhere and the host never sees it. On the kernel's command
# line: job=DIRECTORY, a directory of the host's with what is to be done.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

end() {
  sync
  echo o >/proc/sysrq-trigger
  sleep 10
}

fail() {
  echo "guest: $*" >/dev/console
  dmesg | tail -5 >/dev/console
  end
}

mount -t proc proc /proc
echo 3 >/proc/sys/kernel/printk
mount -t tmpfs -o mode=755 guest /mnt || fail 'no tmpfs'
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root || fail 'no overlay'
cd /mnt/root || fail 'no root'
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs dev dev
ln -sf /proc/self/fd dev/fd
mkdir -p dev/pts dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=755 mnt mnt
mount -t cgroup2 cgroup sys/fs/cgroup 2>/dev/null
mkdir run/job
mount -t hostfs -o "$job" none run/job || fail 'no job'
if [ -e run/job/policy ]; then
  mount -t selinuxfs selinuxfs sys/fs/selinux && cat run/job/policy >sys/fs/selinux/load || fail 'no SELinux'
fi
echo guest >/proc/sys/kernel/hostname
# The consoles pass bytes on as they are.
stty -F dev/tty1 raw -echo
stty -F dev/tty2 raw -echo

# Not chroot(2): who is in one can make no user namespace.
mkdir run/host && pivot_root . run/host && umount -l run/host && rmdir run/host || fail 'no new root'
/bin/sh /run/job/job.sh </dev/null >dev/tty1 2>dev/tty2
echo $? >run/job/status
# Until all of the output has arrived.
for console in dev/tty1 dev/tty2; do timeout 5 stty -F $console raw >/dev/null 2>&1; done
umount run/job
end
