# Large files: two of noise, one like text.
mkdir -p /opt/large
head -c 48M /dev/urandom >/opt/large/noise-a
head -c 48M /dev/urandom >/opt/large/noise-b
find /usr /var -xdev -type f -size -200k -exec cat {} + 2>/dev/null | head -c 48M >/opt/large/text || true
