#!/usr/bin/env bash
# Build a Debian package of a wheel:  build.sh plain|contained WHEEL FOLDER
#
# plain      for Debian 13 and newer: Python's modules, and dependencies by the names of Debian's packages
# contained  for Debian 12: an environment of its own in /usr/lib/slurmwatchd, with all it needs, on Debian's python3.11
#
# Both have the same name and the same files but for Python's. The contained one sorts before the plain one of the same
# version, so that an upgrade of Debian 12 to 13 takes the plain one.
set -euo pipefail
kind=$1 wheel=$(realpath "$2") out=$(mkdir -p "$3" && realpath "$3")
here=$(cd "$(dirname "$0")" && pwd) repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
project=https://github.com/slurmwatchd/slurmwatchd
maintainer="The slurmwatchd developers <slurmwatchd@users.noreply.github.com>"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
unpacked=$stage/wheel root=$stage/root
"$python" -m zipfile -e "$wheel" "$unpacked"
metadata=$(echo "$unpacked"/*.dist-info/METADATA)
field() { sed -n "/^$/q; s/^$1: //p" "$metadata"; }
upstream=$(field Version)
# 1.0.0rc1 comes before 1.0.0 here as well.
upstream=$(sed -E 's/\.?(a|b|rc|dev)([0-9])/~\1\2/' <<<"$upstream")
share=$(echo "$unpacked"/*.data/data/share)

# Requires-Dist: anyio>=4.4  becomes  python3-anyio (>= 4.4); what an extra asks for is left out.
needs() {
    field Requires-Dist | grep -v ';' | tr '[:upper:]' '[:lower:]' |
        sed -E 's/^([a-z0-9._-]+) *>= *([0-9.]+)$/python3-\1 (>= \2)/; s/_/-/g' | paste -sd ',' | sed 's/,/, /g'
}

case $kind in
plain)
    version=$upstream-1 architecture=all
    depends="python3 (>= 3.11), $(needs)"
    modules=$root/usr/lib/python3/dist-packages interpreter=/usr/bin/python3
    mkdir -p "$modules"
    for part in "$unpacked"/*; do
        [[ $part == *.data ]] || cp -r "$part" "$modules/"
    done
    # dpkg knows the files; and licences are Debian's to state, in doc/.
    rm -rf "$modules"/*.dist-info/{RECORD,licenses}
    ;;
contained)
    # Not a name on the PATH: the environment is for Debian's own.
    base=/usr/bin/python3.11
    [[ -x $base ]] || { echo "build.sh: no $base here: the contained package is built on Debian 12" >&2; exit 2; }
    version=$upstream-1~deb12 architecture=$(dpkg --print-architecture)
    depends="python3, python3.11, libc6 (>= 2.28), libgcc-s1"
    home=$root/usr/lib/slurmwatchd interpreter=/usr/lib/slurmwatchd/bin/python3
    mkdir -p "$home"
    "$base" -m venv --without-pip --symlinks "$home"
    "$python" -m pip --disable-pip-version-check --quiet --python "$home/bin/python3" install --no-compile "$wheel"
    sed -i "s|$root||g" "$home/pyvenv.cfg"
    ln -sf ../../../bin/python3.11 "$home/bin/python3.11"
    # What is not for starting the daemon: other programs, files of `install-service`, headers.
    find "$home/bin" ! -name 'python*' -type f -delete
    rm -rf "$home"/{share,include,lib64} "$home"/lib/python3.11/site-packages/slurmwatchd-*.dist-info/RECORD
    find "$home" -name '*.so*' -type f -exec strip --strip-unneeded {} + -exec chmod 644 {} +
    # Modules are no programs, whatever their first line says.
    find "$home/lib" -name '*.py' -exec sed -i '1{/^#!/d}' {} + -exec chmod 644 {} +
    find "$home" \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete
    ;;
*)
    echo "usage: build.sh plain|contained WHEEL FOLDER" >&2
    exit 2
    ;;
esac

"$repository/packaging/stage.sh" "$share" "$root" "$interpreter" usr/share/zsh/vendor-completions
put() { install -D -m 0644 "$1" "$root/$2"; }
put "$repository/README.md" usr/share/doc/slurmwatchd/README.md
put "$repository/CHANGELOG.md" usr/share/doc/slurmwatchd/changelog
put "$here/copyright" usr/share/doc/slurmwatchd/copyright
put "$here/overrides.$kind" usr/share/lintian/overrides/slurmwatchd

# The same source gives the same package: times are those of the last commit, where there is one.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$repository" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
cat >"$root/usr/share/doc/slurmwatchd/changelog.Debian" <<CHANGELOG
slurmwatchd ($version) unstable; urgency=medium

  * The changes are in changelog.gz beside this file.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
gzip -9n "$root"/usr/share/doc/slurmwatchd/changelog{,.Debian} "$root/usr/share/man/man1/slurmwatchd.1"

mkdir "$root/DEBIAN"
printf '%s\n' /etc/logrotate.d/slurmwatchd /etc/slurmwatchd/slurmwatchd.toml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 0755 "$here/$script" "$root/DEBIAN/$script"
done
cat >"$root/DEBIAN/control" <<CONTROL
Package: slurmwatchd
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends, systemd | systemd-standalone-sysusers
Recommends: logrotate
Suggests: munge, prometheus, python3-bcrypt, python3-yaml, slurm-client
Section: admin
Priority: optional
Homepage: $project
Description: notices every Slurm job that ends, exactly once
 The daemon polls sacct for job attempts that ended, keeps them in SQLite, and
 hands each on once: as JSON lines for log shippers, and as Prometheus metrics
 whose totals survive restarts. It knows on which nodes a job ran and what it
 used. After an outage it reads what it missed.
 .
 Slurm's own commands sacct and scontrol are needed, of any release from 20.11.
 They are not among the dependencies, since many sites build Slurm themselves.
CONTROL
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/slurmwatchd_${version}_$architecture.deb"
