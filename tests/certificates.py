"""Certificates as openssl makes them, good from and until dates that a test names."""

import shutil
import subprocess
from pathlib import Path

OPENSSL = shutil.which("openssl") or "openssl"
KINDS = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), "rsa": ("rsa:2048",)}
AUTHORITY = """\
[ca]
default_ca = this
[this]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def made(folder: Path, name: str, begin: str, end: str, *, key: str = "ec") -> Path:
    """Make NAME.pem, which signs itself, and NAME.key.

    Args:
        folder: Where to.
        name: Whose.
        begin: YYYYMMDDHHMMSSZ.
        end: The same.
        key: Of which kind.
    """
    (folder / "ca.cnf").write_text(AUTHORITY)
    (folder / "index").write_text("")
    request = [OPENSSL, "req", "-newkey", *KINDS[key], "-nodes", "-subj", f"/CN={name}.example.org"]
    sign = [OPENSSL, "ca", "-batch", "-config", "ca.cnf", "-selfsign", "-notext", "-create_serial"]
    sign += ["-startdate", begin, "-enddate", end]
    for argv in (
        [*request, "-keyout", f"{name}.key", "-out", f"{name}.csr"],
        [*sign, "-keyfile", f"{name}.key", "-in", f"{name}.csr", "-out", f"{name}.pem"],
    ):
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder / f"{name}.pem"
