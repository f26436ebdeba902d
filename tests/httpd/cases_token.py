"""Tokens: what ClickstreamAuth jwt takes, and all that it does not. Each is made when it is sent, as clocks go on."""
# SPDX-License-Identifier: Apache-2.0

import base64

from cases import CHALLENGE, NO_TOKEN, NOBODY, UNKNOWN, Case, added, record
from server import HEADERS
from tokens import ES256, HS256, RS256, SECRET, as_json, base64url, es256, es256_der, hs256, keys, payload, rs256, token

JWT = """ClickstreamAuth jwt
ClickstreamClient touchwood-app secret=@KEYS@/app.secret
ClickstreamClient other-app secret=@KEYS@/app.secret
ClickstreamClient rsa-app key=@KEYS@/rsa.pem
ClickstreamClient ec-app key=@KEYS@/ec.pem
ClickstreamClient cert-app key=@KEYS@/cert.pem"""


def signed(header=None, claims=None, sign=hs256, **more):
    """What makes a token: the app's own, but for what is said here."""
    return lambda: token(header or HS256, claims if claims is not None else payload(**more), sign)


def headers(make, client="touchwood-app"):
    return {"Authorization": lambda: f"Bearer {make()}", "client_id": client}


def with_header(**more):
    return signed({**HS256, **more})


def of_rsa(**more):
    return signed(RS256, sign=rs256, **{"iss": "rsa-app", **more})


def of_ec(**more):
    return signed(ES256, sign=es256, **{"iss": "ec-app", **more})


# name: (token, client)
GOOD = {
    "the app's own form": (signed(), "touchwood-app"),
    "RS256": (of_rsa(), "rsa-app"),
    "ES256": (of_ec(), "ec-app"),
    "ES256 by a certificate's key": (signed(ES256, sign=lambda text: es256(text, "cert"), iss="cert-app"), "cert-app"),
    "two clients with the same secret": (signed(iss="other-app"), "other-app"),
    "no times at all": (signed(iat=None, nbf=None, exp=None), "touchwood-app"),
    "nothing but iss": (signed(claims={"iss": "touchwood-app"}), "touchwood-app"),
    "ended within the leeway": (signed(exp=-40), "touchwood-app"),
    "begins within the leeway": (signed(nbf=50), "touchwood-app"),
    "issued in the future": (signed(iat=86400), "touchwood-app"),
    "times with a fraction": (signed(nbf=-0.5, exp=3600.25), "touchwood-app"),
    "a time with an exponent": (signed(claims='{"iss":"touchwood-app","exp":1e12}'), "touchwood-app"),
    "no typ": (signed({"alg": "HS256"}), "touchwood-app"),
    "another typ": (with_header(typ="at+jwt"), "touchwood-app"),
    "keys that it names are not looked at": (
        with_header(kid="../../etc/passwd", jku="https://evil.example/", jwk={"kty": "oct"}, x5u="x"), "touchwood-app"),
    "other claims": (signed(aud=["a", "b"], jti="x", role={"admin": True}, sub="someone"), "touchwood-app"),
    "white space in its JSON": (signed('{ "alg" :\n"HS256" }', '{ "iss" : "touchwood-app" }\n'), "touchwood-app"),
    "escapes in its JSON": (signed('{"\\u0061lg":"HS\\u003256"}', '{"iss":"touchwood\\u002dapp"}'), "touchwood-app"),
}


def change(make, at, to):
    """The token with one of its three parts changed."""
    def changed():
        parts = make().split(".")
        parts[at] = to(parts[at])
        return ".".join(parts)
    return changed


def other_bits(part):
    """The same bytes in another spelling: the last letter has bits that mean nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + letters[letters.index(part[-1]) ^ 1]


def flipped(part):
    return ("B" if part[0] == "A" else "A") + part[1:]


def with_public_key(name):
    """What a library takes that lets the token choose: HMAC with the public key's file for a secret."""
    return signed(sign=lambda text: hs256(text, (keys() / f"{name}.pem").read_bytes()), iss=f"{name}-app")


APP = '"iss":"touchwood-app"'
BAD = {
    "the first implementation's": lambda: HEADERS["Authorization"].removeprefix("Bearer "),
    "no JWT": lambda: "abc",
    "dots only": lambda: "..",
    "alg none": signed({"alg": "none"}),
    "alg none, without a signature": lambda: token({"alg": "none"}, payload(), lambda text: b""),
    "alg None": signed({"alg": "None"}),
    "alg in lower case": with_header(alg="hs256"),
    "alg HS512": with_header(alg="HS512"),
    "alg RS256 for a secret": with_header(alg="RS256"),
    "alg empty": with_header(alg=""),
    "alg a number": with_header(alg=256),
    "alg a list": with_header(alg=["HS256"]),
    "alg missing": signed({"typ": "JWT"}),
    "alg twice": signed('{"alg":"none","alg":"HS256"}'),
    "alg with an escaped NUL": signed('{"alg":"HS256\\u0000"}'),
    "typ a number": with_header(typ=1),
    "an extension that must be understood": with_header(crit=["exp"]),
    "a header that is a list": signed('["HS256"]'),
    "a header that is a string": signed('"HS256"'),
    "a header that is no JSON": signed("HS256"),
    "a header with text behind": signed('{"alg":"HS256"}x'),
    "a header in single quotes": signed("{'alg':'HS256'}"),
    "another secret": signed(sign=lambda text: hs256(text, SECRET + b"4")),
    "the secret with the file's newline": signed(sign=lambda text: hs256(text, SECRET + b"\n")),
    "no secret": signed(sign=lambda text: hs256(text, b"")),
    "a signature of other text": signed(sign=lambda text: hs256(text + " ")),
    "a signature that is cut": signed(sign=lambda text: hs256(text)[:16]),
    "a signature with more behind": signed(sign=lambda text: hs256(text) + b"\0"),
    "a signature of zeros": signed(sign=lambda text: bytes(32)),
    "a signature in hexadecimal": signed(sign=lambda text: hs256(text).hex().encode()),
    "a changed signature": change(signed(), 2, flipped),
    "a changed payload": change(signed(), 1, lambda part: base64url(as_json(payload(sub="evil")).encode())),
    "a changed header": change(signed(), 0, lambda part: base64url(b'{"alg":"HS256"}')),
    "no signature": change(signed(), 2, lambda part: ""),
    "no payload": change(signed(), 1, lambda part: ""),
    "no header": change(signed(), 0, lambda part: ""),
    "two parts": lambda: signed()().rpartition(".")[0],
    "four parts": lambda: signed()() + ".AAAA",
    "five parts": lambda: "AAAA.AAAA." + signed()(),
    "a dot behind": lambda: signed()() + ".",
    "padding": change(signed(), 2, lambda part: part + "="),
    "the other base64": signed(sign=lambda text: b"\xfb\xff" + hs256(text)[2:]),
    "letters that base64url has not": change(signed(), 2, lambda part: part[:-1] + "~"),
    "base64 with plus signs": change(signed(), 2, lambda part: "+" + part[1:]),
    "bits that mean nothing": change(signed(), 2, other_bits),
    "a payload that is a list": signed(claims="[]"),
    "a payload that is null": signed(claims="null"),
    "a payload that is no JSON": signed(claims=f"{{{APP},}}"),
    "a payload that is not UTF-8": lambda: latin1_token(),
    "iss missing": signed(iss=None),
    "iss another client's": signed(iss="other-app"),
    "iss in capital letters": signed(iss="TOUCHWOOD-APP"),
    "iss with more behind": signed(iss="touchwood-app2"),
    "iss a list": signed(iss=["touchwood-app"]),
    "iss null": signed(claims='{"iss":null}'),
    "iss with an escaped NUL": signed(claims='{"iss":"touchwood-app\\u0000"}'),
    "iss twice": signed(claims=f'{{"iss":"other-app",{APP}}}'),
    "iss twice, escaped": signed(claims=f'{{"\\u0069ss":"other-app",{APP}}}'),
    "ended": signed(exp=-70),
    "ended in 1970": signed(claims=f'{{{APP},"exp":1}}'),
    "ended before 1970": signed(claims=f'{{{APP},"exp":-1e300}}'),
    "not begun": signed(nbf=80),
    "beyond all numbers": signed(claims=f'{{{APP},"nbf":1e400}}'),
    "exp as text": signed(claims=f'{{{APP},"exp":"9999999999"}}'),
    "exp null": signed(claims=f'{{{APP},"exp":null}}'),
    "exp true": signed(claims=f'{{{APP},"exp":true}}'),
    "exp twice": signed(claims=f'{{{APP},"exp":1,"exp":9999999999}}'),
    "nbf as text": signed(claims=f'{{{APP},"nbf":"1"}}'),
    "iat as text": signed(claims=f'{{{APP},"iat":"1"}}'),
}
# Of a client with a key: (token, client).
BAD_KEYS = {
    "HS256 with the public RSA key": (with_public_key("rsa"), "rsa-app"),
    "HS256 with the public EC key": (with_public_key("ec"), "ec-app"),
    "HS256 for an RSA key": (signed(iss="rsa-app"), "rsa-app"),
    "alg none for an RSA key": (signed({"alg": "none"}, sign=lambda text: b"x", iss="rsa-app"), "rsa-app"),
    "RS256 for a secret": (signed(RS256, sign=rs256), "touchwood-app"),
    "RS256 for an EC key": (signed(RS256, sign=rs256, iss="ec-app"), "ec-app"),
    "ES256 for an RSA key": (signed(ES256, sign=es256, iss="rsa-app"), "rsa-app"),
    "ES256 by another key": (signed(ES256, sign=lambda text: es256(text, "cert"), iss="ec-app"), "ec-app"),
    "an RSA signature called PS256": (signed({"alg": "PS256"}, sign=rs256, iss="rsa-app"), "rsa-app"),
    "an RSA signature that is changed": (change(of_rsa(), 2, flipped), "rsa-app"),
    "an RSA signature that is cut": (signed(RS256, sign=lambda text: rs256(text)[:-1], iss="rsa-app"), "rsa-app"),
    "an EC signature in DER": (signed(ES256, sign=es256_der, iss="ec-app"), "ec-app"),
    "an EC signature of zeros": (signed(ES256, sign=lambda text: bytes(64), iss="ec-app"), "ec-app"),
    "an EC signature of ones": (signed(ES256, sign=lambda text: b"\xff" * 64, iss="ec-app"), "ec-app"),
    "an EC signature that is cut": (signed(ES256, sign=lambda text: es256(text)[:63], iss="ec-app"), "ec-app"),
    "an EC signature that is changed": (change(of_ec(), 2, flipped), "ec-app"),
    "an RSA token that ended": (of_rsa(exp=-70), "rsa-app"),
    "an EC token of another client": (of_ec(iss="rsa-app"), "ec-app"),
    "a token of its own for another client": (of_rsa(), "touchwood-app"),
}


def latin1_token():
    text = f"{base64url(as_json(HS256).encode())}.{base64url(b'{' + APP.encode() + b',' + bytes([34, 233, 34]) + b':1}')}"
    return f"{text}.{base64url(hs256(text))}"


def good(name, make, client):
    return Case(f"jwt: {name}", headers=headers(make, client), records=(record(added=added(client)),), directives=JWT)


def bad(name, make, client="touchwood-app"):
    return Case(f"no jwt: {name}", status=401, answer=NO_TOKEN, headers=headers(make, client), directives=JWT,
                answer_headers=CHALLENGE)


def unlike(name, status, answer, changes, target=""):
    return Case(f"jwt: {name}", status=status, answer=answer, headers=changes, target=target, directives=JWT)


def basic():
    return "Basic " + base64.b64encode(b"touchwood-app:" + SECRET).decode()


CASES = [
    *(good(name, *row) for name, row in GOOD.items()),
    *(bad(name, make) for name, make in BAD.items()),
    *(bad(name, *row) for name, row in BAD_KEYS.items()),
    Case("jwt: client in the query", headers={**headers(signed()), **NOBODY}, target="?client_id=touchwood-app",
         records=(record(),), directives=JWT),
    unlike("another client in the query", 401, NO_TOKEN, {**headers(signed()), **NOBODY}, "?client_id=rsa-app"),
    unlike("no bearer", 401, NO_TOKEN, {"Authorization": None}),
    unlike("another scheme", 401, NO_TOKEN, {"Authorization": basic}),
    unlike("no bearer comes before an unknown client", 401, NO_TOKEN, {"Authorization": None, "client_id": "nobody"}),
    unlike("an unknown client with a good token", 403, UNKNOWN, headers(signed(), "nobody")),
    unlike("an unknown client with its own token", 403, UNKNOWN, headers(signed(iss="nobody"), "nobody")),
    unlike("no client", 403, UNKNOWN, {**headers(signed()), **NOBODY}),
    Case("Auth bearer does not verify, though there are keys", headers=headers(signed(exp=-70)), records=(record(),),
         directives=JWT.replace("jwt", "bearer")),
    Case("Auth none does not verify, though there are keys", headers={"Authorization": None}, records=(record(),),
         directives=JWT.replace("jwt", "none")),
]
