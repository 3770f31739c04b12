#!/usr/bin/env bash
# PyJWT refuses the key that Slurm's own instructions once made, and two packages are imported as jwt.
#
# Expected: A script with slurmctld's key makes the tokens that `scontrol token` makes, whichever JWT library it
#   finds; Slurm takes any bytes for the key.
# What happens: The instructions of Slurm 20.02 and 20.11 say `openssl genrsa -out jwt_hs256.key`, so that the secret
#   is a PEM file. PyJWT and python-jose take it for a private key and refuse it for HS256; the package jwt signs.
#   That one is what Slurm's example in Python needs (`from jwt import JWT`), but PyJWT has the same module: whichever
#   is installed last overwrites the other, the example ends with an ImportError, and pip check is content.
# Why it matters here: Tokens for jwt_file may come from such a script. A key of 32 random bytes, as later
#   instructions say, works with all three; or take the tokens from `scontrol token`.
# Needs: openssl.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cd "$folder"
openssl genrsa -out pem.key 2048 2>/dev/null
printf '0123456789abcdef0123456789abcdef' >random.key
python3 -m venv venv
install() { venv/bin/pip install --quiet --disable-pip-version-check "$@"; }
cat >sign.py <<'END'
import sys
from importlib.metadata import version

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

CLAIMS = {"exp": 1795427166, "iat": 1795423566, "sun": "ann"}

def with_jwt(key):
    """Sign as the example in Slurm's documentation does."""
    from jwt import JWT
    from jwt.jwk import jwk_from_dict
    from jwt.utils import b64encode

    return JWT().encode(CLAIMS, jwk_from_dict({"kty": "oct", "k": b64encode(key)}), alg="HS256")

def with_pyjwt(key):
    import jwt

    return jwt.encode(CLAIMS, key, algorithm="HS256")

def with_jose(key):
    from jose import jwt

    return jwt.encode(CLAIMS, key, algorithm="HS256")

def outcome(sign, path):
    with open(path, "rb") as file:
        key = file.read()
    try:
        return "signed" if sign(key).count(".") == 2 else "no token"
    except Exception as error:
        return str(error).split(" (")[0]

REFUSED = "The specified key is an asymmetric key or x509 certificate and should not be used as an HMAC secret."
if sys.argv[1] == "alone":
    expect("jwt, version", version("jwt"), "1.4.0")
    expect("jwt, PEM", outcome(with_jwt, "pem.key"), "signed")
    expect("jwt, 32 bytes", outcome(with_jwt, "random.key"), "signed")
else:
    expect("PyJWT, version", version("PyJWT"), "2.15.1")
    expect("PyJWT, PEM", outcome(with_pyjwt, "pem.key"), REFUSED)
    expect("PyJWT, 32 bytes", outcome(with_pyjwt, "random.key"), "signed")
    expect("python-jose, version", version("python-jose"), "3.5.0")
    expect("python-jose, PEM", outcome(with_jose, "pem.key"), REFUSED)
    expect("python-jose, 32 bytes", outcome(with_jose, "random.key"), "signed")
    expect("jwt, version", version("jwt"), "1.4.0")
    expect("jwt after PyJWT", outcome(with_jwt, "random.key"), "cannot import name 'JWT' from 'jwt'")
END
install 'jwt==1.4.0'
venv/bin/python sign.py alone
install 'PyJWT==2.15.1' 'python-jose==3.5.0'
venv/bin/python sign.py "beside PyJWT"
venv/bin/pip check --disable-pip-version-check
