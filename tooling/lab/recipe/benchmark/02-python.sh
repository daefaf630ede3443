# An interpreter with its libraries.
exec </dev/null
apt-get -q update
apt-get -q install -y --no-install-recommends python3 python3-pip python3-setuptools python3-sympy
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
