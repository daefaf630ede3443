#!/usr/bin/env bash
# Builds demo.oci.tar, an OCI image layout in one file, from hello.c and layers/. The same sources and compilers give
# the same bytes. Needs gcc, aarch64-linux-gnu-gcc, GNU tar and gzip:
#
#   apt-get install gcc gcc-aarch64-linux-gnu && tooling/demo-image/build.sh
set -eu
umask 022
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/layout/blobs/sha256
mkdir -p "$blobs"
when=2025-01-01T00:00:00Z

# archive DIR: its tar, with nothing in it that depends on who makes it, or when.
archive() {
  tar --create --directory "$1" --sort=name --mtime="$when" --owner=0 --group=0 --numeric-owner --format=posix \
    --pax-option=delete=atime,delete=ctime,delete=mtime --blocking-factor=2 --no-recursion \
    --verbatim-files-from --files-from=<(find "$1" -mindepth 1 -printf '%P\n' | sort)
}

# blob FILE: moves it among the blobs; prints digest and size, as a descriptor has them.
blob() {
  local digest size
  digest=$(sha256sum <"$1" | cut -d' ' -f1)
  size=$(stat -c %s "$1")
  mv "$1" "$blobs/$digest"
  printf '"digest":"sha256:%s","size":%s' "$digest" "$size"
}

# layer DIR: adds it to the lists of layers and of DiffIDs of the image that is being made.
layer() {
  archive "$1" >"$work/layer.tar"
  diff_ids=${diff_ids:+$diff_ids,}\"sha256:$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)\"
  gzip -9n "$work/layer.tar"
  layers=${layers:+$layers,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",$(blob "$work/layer.tar.gz")}
}

# image ARCHITECTURE COMPILER: prints the descriptor of its manifest.
image() {
  local architecture=$1 compiler=$2 directory layers= diff_ids= config manifest
  rm -rf "$work/tree"
  cp -r "$here/layers" "$work/tree"
  mkdir -p "$work"/tree/1-base/{bin,root,tmp}
  "$compiler" -Os -std=gnu11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie -nostdlib -static \
    -fno-asynchronous-unwind-tables -Wl,--build-id=none,-z,norelro,-z,noseparate-code,--gc-sections -s \
    -o "$work/tree/1-base/bin/hello" "$here/hello.c"
  # Whatever umask the checkout was made with.
  find "$work/tree" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
  chmod 755 "$work/tree/1-base/bin/hello"
  chmod 1777 "$work/tree/1-base/tmp"
  chmod 700 "$work/tree/1-base/root"
  for directory in "$work"/tree/*; do layer "$directory"; done
  cat >"$work/config" <<JSON
{"architecture":"$architecture","os":"linux","created":"$when","config":{"Env":["PATH=/bin","GREETING=hello"],"Cmd":["/bin/hello"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":[$diff_ids]},"history":[{"created":"$when","created_by":"COPY 1-base /"},{"created":"$when","created_by":"ENV PATH=/bin GREETING=hello","empty_layer":true},{"created":"$when","created_by":"COPY 2-replace /"},{"created":"$when","created_by":"RUN 3-delete"},{"created":"$when","created_by":"COPY 4-on-top /"}]}
JSON
  config=$(blob "$work/config")
  cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",$config},"layers":[$layers]}
JSON
  manifest=$(blob "$work/manifest")
  printf '{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"platform":{"architecture":"%s","os":"linux"}}' \
    "$manifest" "$architecture"
}

amd64=$(image amd64 gcc)
arm64=$(image arm64 aarch64-linux-gnu-gcc)
cat >"$work/index" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[$amd64,$arm64]}
JSON
index=$(blob "$work/index")
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
cat >"$work/layout/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json",$index,"annotations":{"io.containerd.image.name":"graphdriver/demo:latest","org.opencontainers.image.ref.name":"graphdriver/demo:latest"}}]}
JSON
find "$work/layout" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
archive "$work/layout" >"$here/demo.oci.tar"
