# Tens of thousands of small files: headers.
exec </dev/null
apt-get -q update
apt-get -q install -y --no-install-recommends gcc g++ make libboost-dev linux-headers-amd64
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
