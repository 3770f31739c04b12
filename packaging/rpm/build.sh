#!/usr/bin/env bash
# Build an RPM package of a wheel for Enterprise Linux 9 and 10, on any machine with rpmbuild:  build.sh WHEEL FOLDER
set -euo pipefail
wheel=$(realpath "$1") out=$(mkdir -p "$2" && realpath "$2")
here=$(cd "$(dirname "$0")" && pwd) repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3} machine=${MACHINE:-$(uname -m)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root home=$work/root/usr/lib/slurmwatchd
"$python" -m zipfile -e "$wheel" "$work/wheel"
upstream=$(sed -n '/^$/q; s/^Version: //p' "$work"/wheel/*.dist-info/METADATA)
# As rpm sorts: 1.0.0~rc1 comes before 1.0.0.
upstream=$(sed -E 's/\.?(a|b|rc|dev)([0-9])/~\1\2/' <<<"$upstream")

# The environment is laid out by hand: there is no python3.12 here, and none is needed. glibc 2.28 is older than that
# of both.
mkdir -p "$home/bin"
ln -s ../../../bin/python3.12 "$home/bin/python3"
printf '%s\n' 'home = /usr/bin' 'include-system-site-packages = false' 'version = 3.12' >"$home/pyvenv.cfg"
"$python" -m pip --disable-pip-version-check --quiet install --no-compile --only-binary=:all: \
    --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none \
    --platform "manylinux_2_28_$machine" --platform "manylinux2014_$machine" --platform any \
    --target "$home/lib/python3.12/site-packages" "$wheel"
modules=$home/lib/python3.12/site-packages
rm -rf "$modules"/{bin,share,include} "$modules"/slurmwatchd-*.dist-info/RECORD
find "$home" \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name .gitignore \) -delete
# Modules are no programs, whatever their first line says.
find "$modules" -name '*.py' -exec sed -i '1{/^#!/d}' {} +
find "$modules" -name '*.so*' -type f -exec strip --strip-unneeded {} +
find "$modules" -type f -exec chmod 0644 {} +

"$repository/packaging/stage.sh" "$work"/wheel/*.data/data/share "$root" /usr/lib/slurmwatchd/bin/python3 \
    usr/share/zsh/site-functions
gzip -9n "$root/usr/share/man/man1/slurmwatchd.1"
install -D -m 0644 -t "$root/usr/share/doc/slurmwatchd" "$repository/README.md" "$repository/CHANGELOG.md"
install -D -m 0644 -t "$root/usr/share/licenses/slurmwatchd" "$repository/LICENSE"

rpmbuild -bb --quiet --target "$machine-linux" --define "_topdir $work/rpm" --define "_rpmdir $out" \
    --define "_rpmfilename slurmwatchd-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "staged $root" --define "upstream $upstream" "$here/slurmwatchd.spec"
