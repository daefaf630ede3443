# Programs with much data beside them.
exec </dev/null
apt-get -q update
apt-get -q install -y --no-install-recommends perl git
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
