// The tracker; see README.md. Events are in localStorage until they are answered. The id in a key has an owner, that
// sends them: its maker or who claims it.
// SPDX-License-Identifier: Apache-2.0

const MOST_EVENTS = 1000;
const MOST_BYTES = 524288;
const CHUNK = 60000; // of the 64 KiB that may outlive a page
const LEASE = 180000; // hidden, timers run each minute
const SETTLE = 1000; // other processes' changes come late
const STORE = 'clickstream ';
const TOKEN = 'clickstream token';
const OUT = 'clickstream-out';

const attempt = (use) => { try { return use(localStorage); } catch {} };
const read = (key) => attempt((store) => store.getItem(key));
const write = (key, text) => attempt((store) => (store.setItem(key, text), true));
const remove = (key) => attempt((store) => store.removeItem(key));
const stored = (prefix) => attempt((store) => Object.keys(store).filter((key) => key.startsWith(prefix)).sort()) ?? [];

const bytes = (text) => new Blob([text]).size;
const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => (byte % 36).toString(36)).join('');
// No secrets.
const bare = (url) => url.split(/[?#]/)[0];
const here = () => location.pathname + (location.hash.match(/^#!?\/[^?]*/) ?? '');

// Leases, for plain http.
const locks = globalThis.navigator?.locks ?? {
  async request(name, _, use) {
    if (read(name) > Date.now() - LEASE) return;
    let stamp;
    const mine = () => read(name) == stamp;
    const renew = () => write(name, stamp = Date.now() + Math.random());
    renew();
    await new Promise((done) => setTimeout(done, SETTLE));
    if (!mine()) return;
    const renewal = setInterval(() => mine() && renew(), LEASE / 9);
    await use(true);
    clearInterval(renewal);
    if (mine()) remove(name);
  },
};

const warned = {};
const warn = (text) => { warned[text] ||= !console.warn('clickstream: ' + text); };

export class Clickstream {
  dropped = 0;
  #options;
  #prefix;
  #id;
  #token;
  #bearer;
  #waiting = []; // {key, text, size, busy}, the oldest first
  #made = 1e6; // sorts as text
  #owned = new Map(); // id: what gives it back
  #held = 0; // 1: by a failure, 2: by the collector
  #failures = 0;
  #timer = 0;
  #running = Promise.resolve();
  #out = false;
  #closing = new AbortController();

  constructor(options) {
    this.#options = {
      authorization: 'anonymous', batchSize: 20, batchInterval: 2000, respectPrivacy: true, ...options,
    };
    const { collector, client, auto } = this.#options;
    if (!collector || !client) throw Error('no collector or client');
    this.#prefix = `${STORE}${collector}\n${client}\n`;
    this.#begin();

    const listen = (type, then) => addEventListener(type, then, { capture: true, signal: this.#closing.signal });
    listen('online', () => this.flush());
    listen('visibilitychange', () => (document.hidden ? this.#leave() : this.flush()));
    listen('pagehide', () => {
      this.#leave(!('keepalive' in Request.prototype));
      this.#release();
    });
    listen('pageshow', ({ persisted }) => {
      if (!persisted) return;
      if (read(OUT) !== undefined) this.#waiting = []; // others may send them
      this.#begin();
    });
    if (auto) observe(this, auto, listen);
  }

  get pending() {
    return this.#waiting.length;
  }

  get optedOut() {
    return !!(this.#out || read(OUT) ||
      this.#options.respectPrivacy && (navigator.globalPrivacyControl || navigator.doNotTrack === '1'));
  }

  optOut() {
    this.#out = !write(OUT, '1');
    this.#forget();
  }

  optIn() {
    this.#out = false;
    remove(OUT);
    this.#begin();
  }

  track(tag, value, extra) {
    if (this.#silent) return;
    const token = this.#options.token || read(TOKEN) || (this.#token ||= random());
    if (token === this.#token) write(TOKEN, token);
    const timestamp = new Date().toISOString();
    const text = JSON.stringify({ token, timestamp, tag, ...(value?.latitude == null ? { value } : value), ...extra });
    const key = `${this.#prefix}${this.#id}\n${this.#made++}`;
    write(key, text);
    this.#keep([key, text]);
    if (!this.#held && this.#batch().length >= this.#options.batchSize) this.#later(0);
    else if (!this.#timer) {
      this.#authorize().catch(() => {});
      this.#later(this.#options.batchInterval);
    }
  }

  page(path = here(), extra) {
    this.track('PAGE_VIEW', path, extra);
  }

  async location(options) {
    const position = await new Promise((...then) => navigator.geolocation.getCurrentPosition(...then, options));
    const { latitude, longitude } = position.coords;
    this.track('GEO_LOC', { latitude, longitude });
    return position;
  }

  flush() {
    if (this.#held < 2) this.#held = 0;
    return this.#run();
  }

  close() {
    this.#leave();
    this.#waiting = [];
    this.#closing.abort();
    this.#release();
  }

  get #silent() {
    return this.optedOut || this.#closing.signal.aborted;
  }

  #keep(...events) {
    this.#waiting.push(...events.map(([key, text]) => ({ key, text, size: bytes(text) })));
    while (this.#waiting.length > MOST_EVENTS || this.#waiting.reduce((sum, { size }) => sum + size, 0) > MOST_BYTES) {
      this.#drop(this.#waiting[0]);
      this.dropped++;
      warn('too many events wait');
    }
  }

  #drop(event) {
    this.#waiting = this.#waiting.filter((other) => other !== event);
    remove(event.key);
  }

  #forget() {
    this.#release();
    this.#waiting = [];
    this.#token = '';
    stored(STORE).forEach(remove);
  }

  #begin() {
    this.#id = random();
    this.#run();
  }

  #claim(id) {
    const name = this.#prefix + id;
    locks.request(name, { ifAvailable: true }, (lock) => lock && !this.#silent && new Promise((release) => {
      this.#owned.set(id, release);
      if (id !== this.#id) setTimeout(() => this.#owned.get(id) === release && this.#inherit(name), SETTLE);
    })).catch(() => {});
  }

  #inherit(name) {
    const younger = this.#waiting.splice(0);
    this.#keep(...stored(name + '\n').map((key) => [key, read(key)]));
    this.#waiting.push(...younger);
    this.#run();
  }

  #release() {
    this.#owned.forEach((release) => release());
    this.#owned.clear();
  }

  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = this.#held = 0;
      this.#run();
    }, ms);
  }

  #run() {
    return this.#running = this.#running.then(async () => {
      const ids = [this.#id, ...stored(this.#prefix).map((key) => key.split('\n')[2])];
      new Set(ids).forEach((id) => this.#silent || this.#owned.has(id) || this.#claim(id));
      for (let batch; !this.#held && (batch = this.#batch()).length;) await this.#send(batch);
    });
  }

  #leave(beacon) {
    for (let batch; this.#held < 2 && (batch = this.#batch()).length;) this.#send(batch, true, beacon);
  }

  #batch() {
    if (this.optedOut) this.#forget();
    const batch = this.#waiting.filter(({ busy }) => !busy).slice(0, this.#options.batchSize);
    let sum = 0;
    return batch.filter(({ size }) => (sum += size + 1) < CHUNK || sum === size + 1);
  }

  async #authorize() {
    const { authorization } = this.#options;
    this.#bearer = authorization.call ? await authorization() : authorization;
  }

  async #send(batch, leaving, beacon) {
    const { collector, client } = this.#options;
    batch.forEach((event) => { event.busy = true; });
    const body = batch[1] ? `[${batch.map(({ text }) => text)}]` : batch[0].text;
    if (beacon) return navigator.sendBeacon(`${collector}?client_id=${encodeURIComponent(client)}`, body);
    let told;
    try {
      if (!leaving || !this.#bearer) await this.#authorize();
      const response = await fetch(collector, {
        method: 'POST',
        headers: { client_id: client, Authorization: `Bearer ${this.#bearer}`, 'Content-Type': 'application/json' },
        body,
        keepalive: batch[0].size < CHUNK,
        signal: AbortSignal.timeout?.(30000),
      });
      const { ok, status } = response;
      // Unread, it is under way. A hotel's login page is no JSON.
      const answer = await response.json().catch((error) => { if (ok) throw error; });
      if (status === 408 || status === 429 || status >= 500) {
        told = response.headers.get('Retry-After') * 1000;
        throw 0;
      }
      batch.forEach((event) => this.#drop(event));
      this.#failures = 0;
      answer?.rejected?.forEach(({ reason, field = '' }) => warn(`refused: ${reason} ${field}`));
      if (!ok) warn(`refused: ${status} ${answer?.message}`);
    } catch {
      this.#held = told ? 2 : 1;
      this.#later(told ? Math.min(told, 3.6e6) : Math.random() * Math.min(1000 * 2 ** this.#failures++, 6e4));
    }
    batch.forEach((event) => { event.busy = false; });
  }
}

function observe(tracker, { pages, links, tags, scroll, errors }, listen) {
  let path;
  let deepest;
  let left = 10;
  const view = () => {
    if (path === here()) return;
    path = here();
    deepest = 0;
    if (pages) tracker.page();
  };
  for (const name of ['pushState', 'replaceState']) {
    const original = history[name].bind(history);
    history[name] = (...state) => {
      original(...state);
      view();
    };
  }
  listen('popstate', view);
  listen('hashchange', view);
  view();

  listen('scroll', () => {
    const quarter = ((scrollY + innerHeight + 1) / document.documentElement.scrollHeight * 4 | 0) * 25;
    if (scroll && quarter > deepest) tracker.track('SCROLL_DEPTH', deepest = quarter);
  });

  listen('click', (event) => {
    const find = (selector) => event.composedPath().find((node) => node.matches?.(selector));
    const link = find('a[href]');
    const { tag, value } = (tags && find('[data-tag]')?.dataset) || {};
    if (tag) tracker.track(tag, `${+value}` === value ? +value : value);
    else if (link && links) tracker.track('CLICK_LINK', bare(link.href.baseVal ?? link.href));
    if (link) tracker.flush(); // before the page goes
  });

  const tell = (message, source) => {
    if (errors && left-- > 0) tracker.track('ERROR', String(message).slice(0, 500), { source });
  };
  listen('error', ({ message, filename, lineno }) => {
    if (message) tell(message, `${bare(filename)}:${lineno}`);
  });
  listen('unhandledrejection', ({ reason }) => tell(reason?.message ?? reason));
}

const dataset = globalThis.document?.querySelector('[data-collector]')?.dataset;
export const tracker = dataset && new Clickstream({
  ...dataset,
  auto: Object.fromEntries((dataset.auto ?? 'pages links tags scroll errors').split(' ').map((name) => [name, true])),
});
