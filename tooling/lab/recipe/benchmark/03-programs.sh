# Programs with much beside them: sources, modules.
exec </dev/null
apt-get -q update
apt-get -q install -y --no-install-recommends perl git golang-src npm
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
