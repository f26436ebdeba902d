#!/bin/sh
# Builds the packages out of make dist's tarball, by dpkg-buildpackage: build.sh TARBALL FOLDER
# FOLDER, which is made anew, gets the packages, the source package and lintian's report.
# SPDX-License-Identifier: Apache-2.0
set -eu
tarball=$(realpath "$1")
folder=$2

say() { printf '%s\n' "make deb: $*"; }

for tool in dpkg-buildpackage dh dh_apache2 fakeroot lintian; do
    command -v "$tool" >/dev/null || missing="${missing-} $tool"
done
if [ "${missing-}" ]; then
    say "missing:$missing (tests/debian/install gets them)"
    exit 1
fi

rm -rf "$folder"
mkdir -p "$folder"
folder=$(realpath "$folder")
work=$(mktemp -d "${TMPDIR:-/tmp}/clickstream-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

tar -xf "$tarball" -C "$work"
cd "$work"/mod_clickstream-*
if ! dpkg-checkbuilddeps 2>/dev/null; then
    say "what the build needs is missing. As root, where the sources are:  apt-get build-dep ."
    dpkg-checkbuilddeps
fi
dpkg-buildpackage -us -uc
cd ..
find . -maxdepth 1 -type f -exec cp {} "$folder" \;
say "the packages are in $folder"
