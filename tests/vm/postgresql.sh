# Runs while mmdebstrap still has its package lists; $1 is the new root.
# Takes PostgreSQL's programs out of its packages. Installing them would bring LLVM, Perl and a cluster.
set -eu
new=$(mktemp -d)
cd "$new"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get -qq -o APT::Sandbox::User=root download postgresql-15 postgresql-client-15
for package in *.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -xf - --exclude=bitcode --exclude='llvmjit*' ./usr
done
cp -r usr/lib/postgresql "$1/usr/lib/"
cp -r usr/share/postgresql "$1/usr/share/"
echo postgres:x:70:70::/tmp:/bin/sh >>"$1/etc/passwd"
echo postgres:x:70: >>"$1/etc/group"
rm -rf "$new"
