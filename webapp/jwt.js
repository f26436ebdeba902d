// The bearer token of an app: a JSON Web Token (RFC 7519) signed with HS256 by WebCrypto.
// A secret in a web page is none: everybody who opens the page can read it, and sign with it what they like. It keeps
// strangers' scripts from being taken for this app by chance, and no more. Where it matters who sends, let a server that
// knows its users hand out the tokens, and give the tracker a function that fetches them.
// SPDX-License-Identifier: Apache-2.0

const HOURS = 3600;
const LIFETIME = 12 * HOURS;
const CLOCKS_DIFFER = 60; // seconds that nbf lies back

const base64url = bytes => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
const utf8 = text => new TextEncoder().encode(text);
const encode = value => base64url(utf8(JSON.stringify(value)));

/** One token. Without WebCrypto (plain http, but for localhost) it is unsigned, and says so. */
export async function sign(claims, secret) {
    const { subtle } = globalThis.crypto ?? {};
    if (!subtle)
        console.warn('Without https the browser cannot sign tokens: ClickstreamAuth bearer takes them so, jwt does not.');
    const text = `${encode({ alg: subtle ? 'HS256' : 'none', typ: 'JWT' })}.${encode(claims)}`;
    if (!subtle)
        return `${text}.`;
    const key = await subtle.importKey('raw', utf8(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    return `${text}.${base64url(new Uint8Array(await subtle.sign('HMAC', key, utf8(text))))}`;
}

/** A function that returns a token with 1 to 12 hours left: the same one, until it is time for another. */
export function bearer({ issuer, subject, secret, now = () => Math.floor(Date.now() / 1000) }) {
    let token, expires = 0;
    return async () => {
        const iat = now();
        if (iat > expires - HOURS || iat < expires - LIFETIME - CLOCKS_DIFFER) { // the second: the clock was put back
            expires = iat + LIFETIME;
            token = sign({ iss: issuer, sub: subject, iat, nbf: iat - CLOCKS_DIFFER, exp: expires }, secret);
        }
        return token;
    };
}
