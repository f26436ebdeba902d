// The tracker in a real browser, against a real collector; faults that no httpd can make are the browser's.
// What was delivered is compared with what was tracked: all of it, none twice but where README.md says so.
// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { load, startBrowser, startServer, TOP, until, Visitor } from './harness.js';

const OUTAGE = Number(process.env.OUTAGE_SECONDS ?? 60);
const NEVER = 3600000;
const SOURCE = `${TOP}/webapp/clickstream.js`;
const JSON_TYPE = 'application/json';

const SITES = `
<Location "/open/">
    SetHandler clickstream
    ClickstreamAuth none
</Location>
<Location "/strict/">
    SetHandler clickstream
    ClickstreamClient known
    ClickstreamTag LIKE_WOOD integer 0..11
</Location>
<Location "/cors/">
    SetHandler clickstream
    ClickstreamAllowOrigin http://localhost:@PORT@
</Location>
`;

let server;
let browser;
before(async () => {
  [server, browser] = await Promise.all([startServer({ directives: SITES }), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

const visit = (options, site = server) => Visitor.create(browser, site, options);
const range = (from, count) => Array.from({ length: count }, (_, index) => from + index);
const sorted = (values) => [...values].sort((a, b) => a - b);
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const track = (page, values) => page.evaluate((each) => {
  for (const value of each) window.tracker.track('T', value);
}, values);
const flush = (page) => page.evaluate(() => window.tracker.flush());
const pending = (page) => page.evaluate(() => window.tracker.pending);
const settled = (page) => until(async () => await pending(page) === 0, 'nothing to be pending');
const kept = (page) => page.evaluate(() => (
  Object.keys(localStorage).filter((key) => key.split('\n').length === 4).length
));
const sizes = (visitor) => visitor.sent.map(({ body }) => [JSON.parse(body)].flat().length);

/** From now on the collector wants to be left alone, and the page knows: it sends nothing, not even when it goes. */
const suspend = async (visitor, page) => {
  visitor.gate.answer({ status: 503, headers: { 'Retry-After': '3600' } });
  await flush(page);
};

// What a browser may lack, or be told.
const NO_LOCKS = () => { delete Navigator.prototype.locks; };
const NO_STORAGE = () => {
  Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });
};
const FULL_STORAGE = () => {
  for (let size = 1 << 22; size; size >>= 1) {
    try { localStorage[`x${size}`] = 'x'.repeat(size); } catch { /* then a smaller one */ }
  }
};
const NO_KEEPALIVE = () => { delete Request.prototype.keepalive; };
const GPC = () => { Object.defineProperty(navigator, 'globalPrivacyControl', { value: true }); };
const DNT = () => { Object.defineProperty(navigator, 'doNotTrack', { value: '1' }); };
const HALF_RANDOM = () => { Math.random = () => 0.5; };
const RECORD_DELAYS = () => {
  const original = window.setTimeout;
  window.delays = [];
  window.setTimeout = (then, ms) => {
    window.delays.push(ms);
    return original(then, ms);
  };
};

/** Playwright cannot be told to hide a tab. */
const show = (page, visible) => page.evaluate((state) => {
  Object.defineProperty(document, 'hidden', { value: !state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
}, visible);

describe('the tracker', { concurrency: 5 }, () => {
  test(`a server that is away for ${OUTAGE} s loses nothing`, async () => {
    const own = await startServer();
    try {
      const visitor = await visit({}, own);
      const [page, other] = [await visitor.open('/module.html', {}), await visitor.open('/module.html', {})];
      await track(page, [0]);
      await visitor.delivered(1);
      await own.stop();
      const before = visitor.sent.length;
      const end = Date.now() + OUTAGE * 1000;
      let next = 1;
      for (; Date.now() < end; await pause(OUTAGE * 20)) {
        await track(page, [next++]);
        if (!other.isClosed()) await track(other, [next++]);
        if (Date.now() > end - OUTAGE * 500) await other.close();
      }
      assert.equal(visitor.lines().length, 1);
      assert.ok(visitor.sent.length - before < 10 + OUTAGE, 'it backs off');
      await own.start();
      await show(page, true); // somebody looks at it again: no need to wait for the next try
      await visitor.delivered(next, 90000);
      await settled(page);
      assert.deepEqual(sorted(visitor.values()), range(0, next));
      assert.equal(await page.evaluate(() => window.tracker.dropped), 0);
      await visitor.close();
    } finally {
      await own.close();
    }
  });

  // --- what auto sends ---

  const AUTO = {
    pages: ['/auto.html', '/one', '/two', '/one', '/one#/inner', '/one'].map((value) => ({ tag: 'PAGE_VIEW', value })),
    tags: [{ tag: 'LIKE_WOOD', value: 3 }, { tag: 'CLICK_LANG', value: 'hk' }, { tag: 'BOTH' }],
    links: [{ tag: 'CLICK_LINK', value: 'mailto:someone@example.com' }, { tag: 'CLICK_LINK', value: '/drawn' }],
    errors: [
      { tag: 'ERROR', value: 'Uncaught Error: thrown', source: '/one:1' }, { tag: 'ERROR', value: 'rejected' },
      { tag: 'ERROR', value: 'Error: plain' },
    ],
    scroll: [25, 50, 100].map((value) => ({ tag: 'SCROLL_DEPTH', value })),
  };

  const perform = async (page) => {
    await page.evaluate(async () => {
      const next = (event) => new Promise((done) => { addEventListener(event, done, { once: true }); });
      history.pushState(0, '', '/one?secret=1#part');
      history.pushState(0, '', '/one?secret=2');
      history.replaceState(0, '', '/two');
      history.back();
      await next('popstate');
      location.hash = '#/inner?secret=3';
      await next('hashchange');
      history.back();
      await next('hashchange');
      document.addEventListener('click', (event) => {
        if (event.target.closest('#mail, #drawn')) event.preventDefault(); // the page is to stay
      });
    });
    for (const name of ['like', 'language', 'plain', 'both', 'mail', 'drawn']) await page.click(`#${name}`);
    await page.evaluate(() => {
      setTimeout(() => { throw new Error('thrown'); });
      Promise.reject(new Error('rejected'));
      Promise.reject('Error: plain'); // eslint-disable-line prefer-promise-reject-errors
      document.getElementById('broken').src = '/nothing.png';
    });
    for (const part of [0.3, 0.5, 0.4, 1]) {
      await page.evaluate((depth) => {
        const { scrollHeight } = document.documentElement;
        scrollTo(0, scrollHeight * depth - innerHeight);
      }, part);
      await pause(100);
    }
    await flush(page);
  };

  // Which page view and click an event belongs to is no matter here: each kind in its own order.
  const bySort = (events, origin) => Object.fromEntries(Object.entries(AUTO).map(([name, [{ tag }]]) => [
    name,
    events.filter((event) => (name === 'tags' ? AUTO.tags.some((one) => one.tag === event.tag) : event.tag === tag))
      .map((event) => JSON.parse(JSON.stringify(event).replaceAll(origin, ''))),
  ]));

  for (const chosen of [undefined, ...Object.keys(AUTO), '']) {
    test(`data-auto=${chosen}`, async () => {
      const visitor = await visit();
      await visitor.context.route('**/auto.html', async (route) => {
        const response = await route.fetch();
        const text = await response.text();
        const choice = chosen === undefined ? '' : `data-auto="${chosen}"`;
        await route.fulfill({ response, body: text.replace('data-client', `${choice} data-client`) });
      });
      const page = await visitor.open('/auto.html');
      await perform(page);
      const names = chosen?.split(' ') ?? Object.keys(AUTO);
      const expected = {};
      for (const [name, sent] of Object.entries(AUTO)) expected[name] = names.includes(name) ? sent : [];
      if (names.includes('links') && !names.includes('tags')) {
        expected.links = [{ tag: 'CLICK_LINK', value: '/one' }, ...expected.links];
      }
      const count = Object.values(expected).flat().length;
      const events = await visitor.delivered(count);
      await settled(page);
      const found = bySort(events, visitor.gate.origin);
      if (found.errors[0]) found.errors[0].source = found.errors[0].source.replace(/^.*?:\d+$/, '/one:1');
      assert.deepEqual(found, expected);
      assert.equal(visitor.lines().length, count, 'and nothing else');
      assert.ok(!visitor.lines().join().includes('secret'));
      await visitor.close();
    });
  }

  test('a page tells of ten errors, no more', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { auto: { errors: true } });
    await page.evaluate(() => { for (let n = 0; n < 20; n++) Promise.reject(new Error('x'.repeat(1000))); });
    const events = await visitor.delivered(10);
    await settled(page);
    assert.deepEqual(visitor.events(), events);
    assert.ok(events.every(({ tag, value }) => tag === 'ERROR' && value === 'x'.repeat(500)));
    await visitor.close();
  });

  test('a link that is followed: its click is delivered, once', async () => {
    const visitor = await visit();
    const page = await visitor.open('/auto.html');
    await page.click('#link');
    await page.waitForURL('**/blank.html*');
    await visitor.delivered(2);
    await visitor.open('/module.html', { client: 'auto' });
    await pause(2500); // what would have been left there would be sent now
    assert.deepEqual(new Set(visitor.events().map(({ tag, value }) => `${tag} ${value}`)),
      new Set(['PAGE_VIEW /auto.html', `CLICK_LINK ${visitor.gate.origin}/blank.html`]));
    await visitor.close();
  });

  // --- events, batches, and how they are sent ---

  test('what an event has', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { authorization: 'a.b.c' });
    const start = new Date().toISOString();
    await page.evaluate(() => {
      window.tracker.track('A');
      window.tracker.track('B', '橡木 "\n', { more: [1, null] });
      window.tracker.track('C', { latitude: 1.5, longitude: -2 });
      window.tracker.track('D', { other: { latitude: 1 } });
      window.tracker.page();
      window.tracker.page('/own', { title: 'x' });
      return window.tracker.flush();
    });
    assert.deepEqual(await visitor.delivered(6), [
      { tag: 'A' }, { tag: 'B', value: '橡木 "\n', more: [1, null] }, { tag: 'C', latitude: 1.5, longitude: -2 },
      { tag: 'D', value: { other: { latitude: 1 } } }, { tag: 'PAGE_VIEW', value: '/module.html' },
      { tag: 'PAGE_VIEW', value: '/own', title: 'x' },
    ]);
    for (const line of visitor.lines()) {
      const event = JSON.parse(line);
      assert.match(event.token, /^[a-z0-9]{16}$/);
      assert.equal(event.client_id, 'module');
      assert.ok(event.timestamp >= start && event.timestamp <= new Date().toISOString());
      assert.deepEqual(Object.keys(event).slice(0, 3), ['token', 'timestamp', 'tag']);
    }
    const [{ headers }] = visitor.sent;
    const { client_id: client, authorization, 'content-type': type } = headers;
    assert.deepEqual([client, authorization, type], ['module', 'Bearer a.b.c', JSON_TYPE]);
    await page.reload();
    await track(page, [1]);
    await visitor.delivered(7);
    assert.equal(new Set(visitor.lines().map((line) => JSON.parse(line).token)).size, 1, 'the token stays');
    const own = await visitor.open('/module.html', { token: 'own' });
    await track(own, [1]);
    await visitor.delivered(8);
    assert.ok(visitor.lines().some((line) => JSON.parse(line).token === 'own'));
    assert.deepEqual(await visitor.context.cookies(), [], 'no cookie');
    assert.deepEqual(visitor.console, []);
    await visitor.close();
  });

  test('batches by count', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { batchSize: 5, batchInterval: NEVER });
    await track(page, range(0, 5));
    await visitor.delivered(5);
    await track(page, range(5, 4));
    await pause(300);
    assert.deepEqual([sizes(visitor), await pending(page)], [[5], 4]);
    await track(page, range(9, 13));
    await visitor.delivered(22);
    assert.deepEqual(sizes(visitor), [5, 5, 5, 5, 2], 'all that waits, once there is a batch');
    assert.deepEqual(visitor.values(), range(0, 22));
    await track(page, [22]);
    await flush(page);
    assert.equal(visitor.sent.at(-1).body[0], '{', 'one event is the object itself');
    await visitor.close();
  });

  test('batches by time', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { batchInterval: 700 });
    const start = Date.now();
    await track(page, [1, 2]);
    await track(page, [3]);
    await visitor.delivered(3);
    assert.deepEqual(sizes(visitor), [3]);
    assert.ok(visitor.sent[0].time - start >= 690);
    await visitor.close();
  });

  test('authorization: asked for each batch, and again after it failed', async () => {
    const visitor = await visit({ scripts: [HALF_RANDOM] });
    const page = await visitor.open('/module.html');
    await page.evaluate(() => {
      let calls = 0;
      const authorization = async () => {
        if (++calls < 3) throw new Error('no token yet');
        return `token-${calls}`;
      };
      window.tracker = new window.Clickstream({ collector: '/collect/', client: 'module', authorization });
      window.tracker.track('T', 1);
    });
    await visitor.delivered(1);
    await track(page, [2]);
    await visitor.delivered(2);
    assert.deepEqual(visitor.sent.map(({ headers }) => headers.authorization), ['Bearer token-3', 'Bearer token-5']);
    assert.deepEqual(visitor.values(), [1, 2]);
    await visitor.close();
  });

  test('a page of another origin', async () => {
    const visitor = await visit({ bypassCSP: true }); // of httpd-conf/webapp.conf
    const page = await visitor.open(`${server.origin.replace('127.0.0.1', 'localhost')}/module.html`,
      { collector: `${server.origin}/cors/` });
    await track(page, [1, 2]);
    await visitor.delivered(2);
    await settled(page);
    assert.deepEqual(visitor.console, []);
    await visitor.close();
  });

  // --- failures ---

  test('a queue that is full: after Retry-After', async () => {
    for (let status = 200; status === 200;) {
      const body = JSON.stringify({ token: 'x', timestamp: new Date(), tag: 'FILL', value: 'x'.repeat(60000) });
      const headers = { client_id: 'filler', Authorization: 'Bearer x', 'Content-Type': JSON_TYPE };
      ({ status } = await fetch(`${server.origin}/full/`, { method: 'POST', headers, body }));
    }
    const visitor = await visit();
    // Larger than what is left there.
    const value = 'x'.repeat(50000);
    const page = await visitor.open('/module.html', { collector: '/full/' });
    await track(page, [value]);
    await until(() => visitor.sent.length === 1, 'the first try');
    await track(page, range(0, 50));
    await flush(page);
    await show(page, false);
    const [{ time }] = visitor.sent;
    await pause(4500 - (Date.now() - time));
    assert.equal(visitor.sent.length, 1, 'neither flush nor leaving asks a collector that wants to be left alone');
    // Then there is room: another queue has it.
    visitor.gate.answer('/collect/');
    await visitor.delivered(51);
    assert.ok(visitor.sent[1].time - time >= 4900 && visitor.sent[1].time - time < 8000);
    await settled(page);
    assert.deepEqual(visitor.values(), [value, ...range(0, 50)]);
    await visitor.close();
  });

  for (const status of [429, 503]) {
    test(`${status} with Retry-After: 2`, async () => {
      const visitor = await visit();
      visitor.gate.answer({ status, headers: { 'Retry-After': '2' } });
      const page = await visitor.open('/module.html', {});
      await track(page, [1]);
      await until(() => visitor.sent.length === 1, 'the first try');
      visitor.gate.answer();
      await track(page, [2]);
      await visitor.delivered(2);
      assert.ok(visitor.sent[1].time - visitor.sent[0].time >= 1900);
      assert.deepEqual([sizes(visitor), visitor.values()], [[1, 2], [1, 2]]);
      await visitor.close();
    });
  }

  test('failures are retried with backoff and jitter', async () => {
    const visitor = await visit({ scripts: [HALF_RANDOM, RECORD_DELAYS] });
    const page = await visitor.open('/module.html', {});
    const values = [];
    for (const given of [
      'hang up', { status: 408 }, { status: 429 }, { status: 500 }, { status: 502 }, { status: 503 }, { status: 504 },
      { status: 503, headers: { 'Retry-After': 'soon' } },
      { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Welcome to our hotel</h1>' },
    ]) {
      const about = JSON.stringify(given);
      const before = visitor.sent.length;
      await page.evaluate(() => { window.delays.length = 0; });
      visitor.gate.answer(given);
      await track(page, [about]);
      await until(() => visitor.sent.length === before + 2, `two tries: ${about}`);
      visitor.gate.answer();
      await track(page, [`and ${about}`]);
      values.push(about, `and ${about}`);
      await visitor.delivered(values.length);
      await settled(page);
      assert.equal(visitor.sent.length, before + 3, about);
      // Half of 1 and 2 s.
      assert.deepEqual((await page.evaluate(() => window.delays)).filter((ms) => ms >= 100), [500, 1000], about);
      const times = visitor.sent.slice(before).map(({ time }) => time);
      assert.ok(times[1] - times[0] >= 490 && times[2] - times[1] >= 990, about);
    }
    assert.deepEqual(visitor.values(), values);
    await visitor.close();
  });

  test('no longer than a minute between tries', async () => {
    const visitor = await visit({ scripts: [() => { Math.random = () => 1; }, RECORD_DELAYS] });
    visitor.gate.answer('hang up');
    const page = await visitor.open('/module.html', {});
    await track(page, [1]);
    for (let tries = 0; tries < 8; tries++) await flush(page);
    const delays = (await page.evaluate(() => window.delays)).filter((ms) => ms >= 1000).sort((a, b) => a - b);
    assert.deepEqual(delays.filter((ms) => ms < 60000), [1000, 2000, 4000, 8000, 16000, 32000]);
    assert.equal(delays.at(-1), 60000);
    visitor.gate.answer();
    await flush(page);
    await visitor.delivered(1);
    await visitor.close();
  });

  test('offline: sent when that is over', async () => {
    const visitor = await visit({ scripts: [() => { Math.random = () => 1; }] });
    const page = await visitor.open('/module.html', {});
    await visitor.context.setOffline(true);
    await track(page, range(0, 30));
    for (let tries = 0; tries < 6; tries++) await flush(page); // the next would be a minute later
    await visitor.context.setOffline(false);
    await visitor.delivered(30);
    assert.deepEqual(visitor.values(), range(0, 30));
    await visitor.close();
  });

  test('what is refused is never sent again', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', {});
    const refusals = [400, 401, 403, 404, 405, 410, 413, 415, 422];
    for (const status of refusals) {
      visitor.gate.answer({ status, body: '{"response_code":"4xx","message":"That is not possible"}' });
      for (const value of [1, 2]) {
        await track(page, [value]);
        await settled(page);
      }
    }
    visitor.gate.answer();
    assert.equal(await kept(page), 0);
    await track(page, [3]);
    await visitor.delivered(1);
    assert.deepEqual([visitor.values(), visitor.sent.length], [[3], 2 * refusals.length + 1]);
    assert.deepEqual(visitor.console.filter((text) => text.startsWith('clickstream')),
      refusals.map((status) => `clickstream: refused: ${status} That is not possible`), 'each said once');
    await visitor.close();
  });

  test('what the collector itself refuses', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { collector: '/strict/', client: 'known' });
    await page.evaluate(() => {
      for (const value of [1, 99, 2, 99]) window.tracker.track('LIKE_WOOD', value);
      return window.tracker.flush();
    });
    await visitor.delivered(2);
    assert.equal(await pending(page), 0);
    assert.deepEqual(visitor.values(), [1, 2]);
    const stranger = await visitor.open('/module.html', { collector: '/strict/', client: 'unknown' });
    const silent = await visitor.open('/module.html', { collector: '/collect/', authorization: ' ' });
    for (const tab of [stranger, silent]) {
      await track(tab, [1]);
      await settled(tab);
    }
    await until(() => visitor.console.filter((text) => text.startsWith('clickstream')).length === 3, 'what it says');
    assert.deepEqual(visitor.console.filter((text) => text.startsWith('clickstream')), [
      'clickstream: refused: out_of_range value', 'clickstream: refused: 403 Unknown client',
      'clickstream: refused: 401 Invalid authorization',
    ]);
    assert.deepEqual(sizes(visitor), [4, 1, 1]);
    await visitor.close();
  });

  // --- what is kept ---

  test('bounded by events: the oldest go, and are counted', async () => {
    const visitor = await visit();
    visitor.gate.answer('hang up');
    const page = await visitor.open('/module.html', {});
    await track(page, range(0, 1100));
    assert.deepEqual(await page.evaluate(() => [window.tracker.pending, window.tracker.dropped]), [1000, 100]);
    assert.equal(await kept(page), 1000);
    await suspend(visitor, page);
    await page.reload();
    visitor.gate.answer();
    await visitor.delivered(1000, 60000); // 50 requests, one after the other
    await settled(page);
    assert.deepEqual(sorted(visitor.values()), range(100, 1000));
    await visitor.close();
  });

  test('bounded by bytes', async () => {
    const visitor = await visit();
    visitor.gate.answer('hang up');
    const page = await visitor.open('/module.html', {});
    const text = '木'.repeat(10000); // 30,000 bytes
    await track(page, range(0, 30).map((number) => `${number} ${text}`));
    assert.deepEqual(await page.evaluate(() => [window.tracker.pending, window.tracker.dropped]), [17, 13]);
    visitor.gate.answer();
    await flush(page);
    await visitor.delivered(17);
    assert.deepEqual(sorted(visitor.values().map(parseFloat)), range(13, 17));
    assert.ok(visitor.sent.every(({ body }) => Buffer.byteLength(body) < 61000));
    await visitor.close();
  });

  for (const [name, script] of Object.entries({ absent: NO_STORAGE, full: FULL_STORAGE })) {
    test(`localStorage ${name}`, async () => {
      const visitor = await visit({ scripts: [script] });
      visitor.gate.answer('hang up');
      const page = await visitor.open('/module.html', { auto: { pages: true } });
      await track(page, [1, 2]);
      await until(() => visitor.sent.length > 0, 'a try');
      visitor.gate.answer();
      await flush(page);
      await visitor.delivered(3);
      await settled(page);
      assert.deepEqual(visitor.values(), ['/module.html', 1, 2]);
      assert.equal(new Set(visitor.lines().map((line) => JSON.parse(line).token)).size, 1);
      await page.evaluate(() => window.tracker.optOut());
      assert.equal(await page.evaluate(() => window.tracker.optedOut), true);
      await track(page, [3]);
      await page.evaluate(() => window.tracker.optIn());
      await track(page, [4]);
      await visitor.delivered(4);
      assert.deepEqual(visitor.values(), ['/module.html', 1, 2, 4]);
      assert.deepEqual(visitor.console.filter((said) => !said.includes('net::ERR')), []);
      await visitor.close();
    });
  }

  test('reloads in the middle', async () => {
    const visitor = await visit();
    visitor.gate.answer('hang up');
    const page = await visitor.open('/module.html', {});
    for (const from of [0, 30, 60]) {
      await track(page, range(from, 30));
      if (from === 60) await suspend(visitor, page);
      await page.reload();
    }
    assert.equal(await kept(page), 90);
    visitor.gate.answer();
    await track(page, [90]);
    await visitor.delivered(91);
    await settled(page);
    assert.deepEqual(sorted(visitor.values()), range(0, 91));
    assert.equal(await kept(page), 0);
    await visitor.close();
  });

  // --- when the page goes ---

  test('a page that is closed right after a click', async () => {
    const visitor = await visit();
    for (let count = 1; count <= 5; count++) {
      const page = await visitor.open('/auto.html');
      await page.click('#like');
      await page.close();
    }
    // A page that got no answer cannot know: the next one may send its events again. They are equal.
    await visitor.open('/module.html', { client: 'auto' });
    await until(() => new Set(visitor.lines()).size >= 10, 'all of them');
    const unique = [...new Set(visitor.lines())].map((line) => JSON.parse(line).tag).sort();
    assert.deepEqual(unique, [...Array(5).fill('LIKE_WOOD'), ...Array(5).fill('PAGE_VIEW')]);
    await visitor.close();
  });

  test('hidden: sent at once, in chunks that may outlive the page, and once', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { batchSize: 500, batchInterval: NEVER });
    await page.evaluate(() => {
      window.kept = [];
      const original = window.fetch;
      window.fetch = (url, options) => {
        window.kept.push([options.keepalive, new Blob([options.body]).size]);
        return original(url, options);
      };
    });
    await track(page, range(0, 100).map((number) => `${number} ${'木'.repeat(500)}`)); // 160 KB
    await show(page, false);
    await visitor.delivered(100);
    await settled(page);
    assert.deepEqual(sorted(visitor.values().map(parseFloat)), range(0, 100));
    const chunks = await page.evaluate(() => window.kept);
    assert.ok(chunks.length >= 3);
    assert.ok(chunks.every(([keepalive, size]) => keepalive && size < 61000), `${chunks}`);
    await visitor.close();
  });

  test('left with more than may outlive a page: the next page sends the rest', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { batchSize: 500, batchInterval: NEVER });
    await track(page, range(0, 100).map((number) => `${number} ${'x'.repeat(2000)}`));
    await page.goto('/blank.html');
    await visitor.delivered(20);
    await page.goto('/module.html');
    await until(async () => await kept(page) === 0 && new Set(visitor.lines()).size >= 100, 'all of them');
    const unique = [...new Set(visitor.lines())].map((line) => parseFloat(JSON.parse(line).value));
    assert.deepEqual(sorted(unique), range(0, 100));
    await visitor.close();
  });

  test('without keepalive: a beacon', async () => {
    const visitor = await visit({ scripts: [NO_KEEPALIVE] });
    const page = await visitor.open('/module.html', { collector: '/open/', client: 'a client', batchInterval: NEVER });
    await track(page, [1, 2]);
    await page.goto('/blank.html');
    await visitor.delivered(2);
    assert.deepEqual(visitor.values(), [1, 2]);
    assert.ok(visitor.lines().every((line) => JSON.parse(line).client_id === 'a client'));
    await visitor.close();
  });

  test('close(): what waits is sent, and then no more', async () => {
    const visitor = await visit();
    const page = await visitor.open('/module.html', { batchInterval: NEVER, auto: { pages: true } });
    await page.evaluate(() => {
      window.tracker.track('T', 1);
      window.tracker.close();
      window.tracker.track('T', 2);
      history.pushState(0, '', '/elsewhere');
    });
    await visitor.delivered(2);
    await until(async () => await kept(page) === 0, 'nothing to be kept');
    await pause(200);
    assert.deepEqual(visitor.values(), ['/module.html', 1]);
    assert.deepEqual(await page.evaluate(async () => (await navigator.locks.query()).held), []);
    await visitor.close();
  });

  // --- several tabs ---

  for (const scripts of [[], [NO_LOCKS]]) {
    const how = scripts.length ? 'leases' : 'locks';

    test(`two tabs, one is closed: nothing twice (${how})`, async () => {
      const visitor = await visit({ scripts });
      visitor.gate.answer('hang up');
      const [one, other] = [await visitor.open('/module.html', {}), await visitor.open('/module.html', {})];
      for (let value = 0; value < 40; value += 2) {
        await track(one, [value]);
        await track(other, [value + 1]);
      }
      await pause(1500); // each may have tried to get the other's
      visitor.gate.answer();
      await Promise.all([flush(one), flush(other)]);
      await visitor.delivered(40);
      visitor.gate.answer('hang up');
      await track(other, [40]);
      await suspend(visitor, other);
      await other.close();
      visitor.gate.answer();
      await track(one, [41]);
      await until(async () => { // as a person goes on
        await flush(one);
        return visitor.lines().length >= 42;
      }, 'what the closed tab had');
      await until(async () => await kept(one) === 0, 'nothing to be kept');
      assert.deepEqual(sorted(visitor.values()), range(0, 42));
      await visitor.close();
    });

    test(`many tabs at once find what was left: one sends it (${how})`, async () => {
      const visitor = await visit({ scripts });
      visitor.gate.answer('hang up');
      const page = await visitor.open('/module.html', {});
      await track(page, range(0, 50));
      await pause(1500); // until the lease is the page's, or it has to run out
      await suspend(visitor, page);
      await page.goto('/blank.html');
      visitor.gate.answer();
      await Promise.all(range(0, 4).map(() => visitor.open('/module.html', {})));
      await visitor.delivered(50);
      await pause(2500);
      assert.deepEqual(sorted(visitor.values()), range(0, 50));
      await visitor.close();
    });
  }

  test('a tab that crashes with the lock', async () => {
    const visitor = await visit();
    visitor.gate.answer('hang up');
    const doomed = await visitor.open('/module.html', {});
    await track(doomed, range(0, 10));
    await pause(1500); // browsers write what a script stores a little later
    const crashed = new Promise((done) => { doomed.once('crash', done); });
    doomed.goto('chrome://crash').catch(() => {});
    await crashed;
    visitor.gate.answer();
    const page = await visitor.open('/module.html', {});
    await visitor.delivered(10);
    await until(async () => await kept(page) === 0, 'nothing to be kept');
    assert.deepEqual(sorted(visitor.values()), range(0, 10));
    await visitor.close();
  });

  test('a lease of a tab that died runs out', async () => {
    const visitor = await visit({ scripts: [NO_LOCKS] });
    visitor.gate.answer('hang up');
    const page = await visitor.open('/module.html', {});
    await track(page, range(0, 10));
    const lease = await page.evaluate(() => Object.entries(localStorage).find(([key]) => key.split('\n').length === 3));
    assert.ok(Math.abs(Date.now() - lease[1]) < 10000);
    await suspend(visitor, page);
    await page.goto('/blank.html');
    const put = (age) => page.evaluate(([key, time]) => { localStorage[key] = time; }, [lease[0], Date.now() - age]);
    await put(0);
    visitor.gate.answer();
    const next = await visitor.open('/module.html', {});
    await track(next, [10]);
    await visitor.delivered(1);
    await pause(3000);
    assert.deepEqual(visitor.values(), [10], 'it may still be alive');
    await put(181000);
    await flush(next);
    await visitor.delivered(11);
    assert.deepEqual(sorted(visitor.values()), range(0, 11));
    await visitor.close();
  });

  test('chaos: tabs, reloads, and a collector that fails now and then', async () => {
    const visitor = await visit();
    let seed = 7;
    const random = (below) => (seed = seed * 48271 % 2147483647) % below;
    const faults = [undefined, 'hang up', { status: 500 }, { status: 503, headers: { 'Retry-After': '1' } }];
    visitor.gate.answer(() => faults[random(faults.length)]);
    const pages = await Promise.all(range(0, 3).map(() => visitor.open('/module.html', { batchInterval: 20 })));
    let next = 0;
    for (let step = 0; step < 60; step++) {
      const page = pages[random(pages.length)];
      const count = random(30);
      await track(page, range(next, count));
      next += count;
      if (random(12) === 0) await show(page, false);
      if (random(12) === 0) await show(page, true);
      // A request that is under way when its page goes may arrive and be repeated.
      if (random(12) === 0 && await page.evaluate(() => window.tracker.flush().then(() => 1))) await page.reload();
    }
    visitor.gate.answer();
    await until(async () => {
      await Promise.all(pages.map(flush));
      return new Set(visitor.lines()).size >= next;
    }, 'all of them', 30000);
    await until(async () => await kept(pages[0]) === 0, 'nothing to be kept');
    assert.deepEqual(sorted([...new Set(visitor.lines())].map((line) => JSON.parse(line).value)), range(0, next));
    await visitor.close();
  });

  // --- people ---

  for (const [name, script] of Object.entries({ GPC, DNT })) {
    test(`${name}: nothing is sent, nothing is kept`, async () => {
      const visitor = await visit({ permissions: ['geolocation'], geolocation: { latitude: 1, longitude: 2 } });
      visitor.gate.answer('hang up');
      const before = await visitor.open('/auto.html');
      await before.click('#like');
      assert.equal(await kept(before), 2);
      await suspend(visitor, before);
      await visitor.context.addInitScript(script);
      await before.goto('/auto.html');
      visitor.gate.answer();
      const sent = visitor.sent.length;
      await perform(before);
      const page = await visitor.open('/module.html', { auto: AUTO });
      await track(page, range(0, 50));
      await page.evaluate(() => window.tracker.location());
      await page.evaluate(() => window.tracker.optIn());
      await track(page, [1]);
      await flush(page);
      assert.deepEqual(await page.evaluate(() => [window.tracker.optedOut, window.tracker.pending]), [true, 0]);
      assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
      await page.goto('/blank.html');
      await before.close();
      assert.equal(visitor.sent.length, sent);
      assert.deepEqual([visitor.lines(), await visitor.context.cookies()], [[], []]);

      const unasked = await visitor.open('/module.html', { respectPrivacy: false });
      await track(unasked, [1]);
      assert.deepEqual((await visitor.delivered(1)), [{ tag: 'T', value: 1 }]);
      await visitor.close();
    });
  }

  test('optOut and optIn, for all tabs', async () => {
    const visitor = await visit();
    visitor.gate.answer('hang up');
    const [page, other] = [await visitor.open('/module.html', {}), await visitor.open('/module.html', {})];
    await track(page, [1]);
    await track(other, [2]);
    const token = await page.evaluate(() => localStorage['clickstream token']);
    await page.evaluate(() => window.tracker.optOut());
    await until(() => other.evaluate(() => (
      window.tracker.optedOut && `${Object.keys(localStorage)}` === 'clickstream-out'
    )), 'the other tab to forget');
    visitor.gate.answer();
    for (const tab of [page, other]) {
      await track(tab, [3]);
      await flush(tab);
      await tab.reload();
      await track(tab, [4]);
      assert.equal(await pending(tab), 0);
    }
    assert.deepEqual(visitor.lines(), []);
    await page.evaluate(() => window.tracker.optIn());
    await track(page, [5]);
    await track(other, [6]);
    await visitor.delivered(2);
    await pause(1500);
    assert.deepEqual(sorted(visitor.values()), [5, 6]);
    const tokens = new Set(visitor.lines().map((line) => JSON.parse(line).token));
    assert.equal(tokens.size, 1);
    assert.ok(!tokens.has(token), 'it is somebody new');
    await visitor.close();
  });

  test('location, granted', async () => {
    const geolocation = { latitude: 22.2783, longitude: 114.1747 };
    const visitor = await visit({ permissions: ['geolocation'], geolocation });
    const page = await visitor.open('/module.html', {});
    const position = await page.evaluate(async () => {
      const { coords: { latitude, longitude } } = await window.tracker.location({ timeout: 5000 });
      return { latitude, longitude };
    });
    assert.deepEqual(position, geolocation);
    assert.deepEqual(await visitor.delivered(1), [{ tag: 'GEO_LOC', ...position }]);
    await visitor.close();
  });

  test('location, refused', async () => {
    const visitor = await visit({ permissions: [] });
    const page = await visitor.open('/module.html', {});
    assert.equal(await page.evaluate(() => window.tracker.location().catch(({ code }) => code)), 1);
    await track(page, [1]);
    assert.deepEqual(await visitor.delivered(1), [{ tag: 'T', value: 1 }]);
    await visitor.close();
  });
});

// --- the file ---

test('it has less than 4,096 bytes', () => {
  const packed = execFileSync('gzip', ['-9', '-c', SOURCE]);
  assert.ok(packed.length < 4096, `${packed.length}`);
});

test('what is public is declared, and the other way round', () => {
  const members = (path) => {
    const code = readFileSync(path, 'utf8').replace(/\/\*\*.*?\*\//gs, '');
    const [, body] = code.match(/^export class Clickstream \{\n(.*?)^\}/ms);
    const names = body.matchAll(/^ {2}(?:readonly |async |get )*(?!async |get )([a-z]\w*)/gm);
    return [...new Set([...names].map(([, name]) => name))].sort();
  };
  const declared = members(SOURCE.replace('.js', '.d.ts'));
  assert.ok(declared.includes('track'));
  assert.deepEqual(declared, members(SOURCE));
  const exported = (path) => (
    [...readFileSync(path, 'utf8').matchAll(/^export (?:class|const) (\w+)/gm)].map(([, name]) => name)
  );
  assert.deepEqual(exported(SOURCE.replace('.js', '.d.ts')), exported(SOURCE));
});

test('it can be imported where there is no browser', async () => {
  const module = await load('webapp/clickstream.js');
  assert.equal(module.tracker, undefined);
});

test('wrong options', async () => {
  const { Clickstream } = await load('webapp/clickstream.js');
  for (const options of [{}, { collector: '/collect/' }, { client: 'x' }]) {
    assert.throws(() => new Clickstream(options), /no collector or client/);
  }
});
