# Files, whole trees and directories that are made anew, deleted from the layers before.
rm -rf /usr/share/doc /usr/share/locale /usr/share/man
mkdir /usr/share/doc
echo replaced >/usr/share/doc/README
find /usr/lib -name '*.pyc' -delete
find /usr/share/zoneinfo -type f -delete 2>/dev/null || true
rm /opt/large/noise-a
rm -rf /etc/skel
mkdir /etc/skel
echo 'export A=b' >/etc/skel/.profile
