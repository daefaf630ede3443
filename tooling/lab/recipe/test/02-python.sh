# An ordinary package installation: files of the base replaced, thousands added.
exec </dev/null
apt-get -q update
apt-get -q install -y --no-install-recommends python3
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
