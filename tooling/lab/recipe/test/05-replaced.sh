# Deletions and replacements of every kind, on top of the layers before.
rm -rf /usr/share/doc /usr/share/man /usr/share/locale
mkdir /usr/share/doc
echo replaced >/usr/share/doc/README
find /usr/lib/python3 -name '*.pyc' -delete
rm -rf /etc/skel
mkdir /etc/skel
echo 'export A=b' >/etc/skel/.profile
rm /etc/debian_version

cd /special
rm replaced-file && mkdir replaced-file && echo inside >replaced-file/inside
rm -rf replaced-directory && echo now-a-file >replaced-directory
rm replaced-link && mkdir replaced-link && echo inside >replaced-link/inside
rm -rf replaced-emptied/* replaced-recreated
mkdir -p replaced-recreated/sub && echo new >replaced-recreated/sub/new
rm replaced-relinked/a && ln replaced-relinked/b replaced-relinked/a
chmod 700 replaced-touched && chown 7:8 replaced-touched/a && echo more >>replaced-touched/b
rm 'new
line' two fifo null
ln links/one one-more
rm -r '-dash' 2>/dev/null || rm -- -dash
