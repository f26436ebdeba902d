"""Prints an HS256 token that says it is argv[1], good for ten minutes, signed with the secret on stdin."""
# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import hmac
import json
import sys
import time


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


secret = sys.stdin.buffer.read()
if secret.endswith(b"\n"):  # as the collector reads its file
    secret = secret[:-1]
claims = {"iss": sys.argv[1], "exp": int(time.time()) + 600}
signed = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
print((signed + b"." + encoded(hmac.new(secret, signed, hashlib.sha256).digest())).decode())
