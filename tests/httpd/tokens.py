"""Tokens and the keys to verify them with, as clients make them: HS256 in Python, RS256 and ES256 by openssl.

The keys are made once for each run, in a folder that httpd's user can read: what a server gets of them is its own.
"""
# SPDX-License-Identifier: Apache-2.0

import atexit
import base64
import functools
import hashlib
import hmac
import json
import shutil
import subprocess
import time

from server import give_to_user, public_folder

SECRET = b"correct horse battery staple 0123"


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True, **more).stdout


@functools.cache
def keys():
    """The folder: app.secret, rsa.pem, ec.pem and cert.pem to verify with, *.private to sign with."""
    folder = public_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "app.secret").write_bytes(SECRET + b"\n")
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "rsa.private")
    for name in ("ec", "cert"):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / f"{name}.private")
    for name in ("rsa", "ec"):
        openssl("pkey", "-in", folder / f"{name}.private", "-pubout", "-out", folder / f"{name}.pem")
    openssl("req", "-x509", "-key", folder / "cert.private", "-subj", "/CN=cert", "-days", "1", "-out",
            folder / "cert.pem")
    for path in folder.iterdir():
        path.chmod(0o600)
        if path.suffix != ".private":
            give_to_user(path)
    return folder


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(text, secret=SECRET):
    return hmac.digest(secret, text.encode(), hashlib.sha256)


def rs256(text, name="rsa"):
    return openssl("dgst", "-sha256", "-sign", keys() / f"{name}.private", input=text.encode())


def es256_der(text, name="ec"):
    return rs256(text, name)


def es256(text, name="ec"):
    """r and s side by side (RFC 7518, section 3.4), out of openssl's DER: 30 LEN 02 LEN r 02 LEN s."""
    der = es256_der(text, name)
    r, s = der[4:4 + der[3]], der[6 + der[3]:]
    return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (r, s))


def payload(iss="touchwood-app", **more):
    """The app's own claims; None leaves out, and times are seconds from now."""
    claims = {"iss": iss, "sub": "poc-kstream", "iat": 0, "nbf": 0, "exp": 3600, **more}
    now = int(time.time())
    return {name: now + value if name in ("iat", "nbf", "exp") and isinstance(value, (int, float)) else value
            for name, value in claims.items() if value is not None}


def as_json(value):
    """A dict, or text that stands for itself."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def token(header, claims, sign):
    text = ".".join(base64url(as_json(part).encode()) for part in (header, claims))
    return f"{text}.{base64url(sign(text))}"


HS256 = {"alg": "HS256", "typ": "JWT"}
RS256 = {"alg": "RS256", "typ": "JWT"}
ES256 = {"alg": "ES256", "typ": "JWT"}
