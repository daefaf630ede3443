# A file that no buffer holds: part noise, part text, part zeros.
mkdir /large
head -c 40M /dev/urandom >/large/file
find /usr/bin /usr/lib -xdev -type f -exec cat {} + 2>/dev/null | head -c 20M >>/large/file || true
head -c 4M /dev/zero >>/large/file
