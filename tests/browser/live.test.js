// The live page: what it shows is what was posted; what it says when it cannot; and the demo, from a click to the page.
// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startBrowser, startServer, TOP, until, Visitor } from './harness.js';

const SHOTS = join(TOP, 'tests/browser/screenshots');
const STATUS = '/clickstream-status';
const DIRECTIVES = `
<Location "${STATUS}">
    SetHandler clickstream-status
</Location>
<Location "/forbidden">
    Require all denied
</Location>
`;

let server;
let browser;
before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  [server, browser] = await Promise.all([
    startServer({ directives: DIRECTIVES, errors: ['/forbidden'] }),
    startBrowser(),
  ]);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

// --- what is shared ---

const event = (more) => ({ token: 'fkxnjuxdn8j0czwl', timestamp: new Date().toISOString(), tag: 'LIKE_WOOD', value: 3, ...more });

const post = (origin, events, path = '/poc-kstream/', client = 'touchwood-app') => fetch(origin + path, {
  method: 'POST',
  headers: { client_id: client, Authorization: 'Bearer x', 'Content-Type': 'application/json' },
  body: JSON.stringify(events),
});

const status = async (name) => (await (await fetch(`${server.origin}${STATUS}?format=json`)).json()).streams
  .find((stream) => stream.name === name);

/** The value and the small print of a figure. */
const figure = (page, name) => page.locator(`#figures div:has(dt:text-is("${name}")) dd`).innerText()
  .then((text) => text.split('\n'));

const shows = async (page, name, ...texts) => {
  let shown;
  await until(async () => {
    shown = await figure(page, name);
    return texts.every((text, i) => text === undefined || text === shown[i]);
  }, `${name}: ${texts}`).catch((error) => { throw new Error(`${error.message}, not ${shown}`); });
};

const says = (page, selector, text) => page.locator(selector).filter({ hasText: text }).waitFor({ state: 'visible' });

const connected = (page) => page.locator('#verdict.good, #verdict.retrying').waitFor();

const visit = async (path = '/live.html', options = {}) => {
  const visitor = await Visitor.create(browser, options.server ?? server, options);
  return { visitor, page: await visitor.open(path) };
};

const RESOURCES = /^Failed to load resource/; // Chromium's own words about a server that is not there

const leave = async ({ visitor }, expected) => {
  assert.deepEqual(visitor.console.filter((text) => !expected?.test(text)), []);
  await visitor.close();
};

/** The page with another address of the status. */
const look = async (address) => {
  const visitor = await Visitor.create(browser, server);
  await visitor.context.route('**/live.html', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace(`data-status="${STATUS}"`, `data-status="${address}"`) });
  });
  return { visitor, page: await visitor.open('/live.html') };
};

// --- the status ---

test('the numbers are those of what was posted', async () => {
  const before = await status('clicks');
  const answers = await Promise.all([
    post(server.origin, [event(), event(), event({ value: 4 })]), post(server.origin, event({ tag: 'CLICK_LANG', value: 'hk' })),
    post(server.origin, [event(), { tag: 'LIKE_WOOD' }, { token: 'x', tag: 'LIKE_WOOD' }]),
    post(server.origin, event({ timestamp: '<b>yesterday</b>' })), post(server.origin, event(), undefined, 'stranger'),
  ]);
  assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 200, 400, 403]);
  const visit1 = await visit();
  const { page } = visit1;
  await shows(page, 'Accepted', undefined, `${before.appended + 5} in all`);
  await shows(page, 'Delivered', undefined, `${before.delivered + 5} in all`);
  await shows(page, 'Refused', undefined, `${before.refused_total + 4} in all`);
  await shows(page, 'Waiting', '0', 'events, 0 B');
  await shows(page, 'Oldest waits for', '–', 'nothing waits');
  assert.match((await figure(page, 'Latency')).join(), /^\d+ ms,p50; p99 \d+ ms$/);
  const rows = await page.locator('#refused tbody tr').evaluateAll((all) => all.map((row) => [row.cells[0].innerText, row.cells[2].innerText]));
  assert.deepEqual(rows, [['missing_field\na member is not there', '2'], ['bad_timestamp\nthe timestamp is none', '1'],
    ['unknown_client\nrequests of a client that is not known', '1']]);
  await says(page, '#verdict', 'All streams are healthy');
  await says(page, '#state', 'idle');
  assert.equal(await page.locator('#error').isVisible(), false);
  assert.equal(await page.title(), 'Clickstream, live');
  await leave(visit1);
});

test('it lives: what is posted while it is open appears, in the charts as well', async () => {
  const visit1 = await visit();
  const { page } = visit1;
  const { appended } = await status('clicks');
  await shows(page, 'Accepted', undefined, `${appended} in all`);
  await post(server.origin, Array.from({ length: 20 }, () => event()));
  await shows(page, 'Accepted', undefined, `${appended + 20} in all`);
  assert.match((await figure(page, 'Accepted'))[0], /^[1-9]\d*\.\d\/s$/);
  const chart = page.getByRole('img', { name: 'Events a second' });
  await until(async () => /accepted: at most [1-9]/.test(await chart.locator('desc').textContent()), 'the chart in words');
  assert.match(await chart.locator('path.accepted:not(.area)').getAttribute('d'), /^M.*H/);
  await until(() => page.getByRole('img', { name: 'Delivery latency' }).locator('rect').count(), 'the latency');
  await chart.hover({ position: { x: (await chart.boundingBox()).width - 3, y: 20 } });
  await says(page, '.reading', / ago: .* accepted, .* delivered/);
  await page.screenshot({ path: join(SHOTS, 'live-reading.png') });
  await leave(visit1);
});

test('a stream that cannot deliver: its queue fills, and what to do is said', async () => {
  const visit1 = await visit();
  const { page } = visit1;
  const events = Array.from({ length: 300 }, (_, i) => event({ value: i % 12, note: 'x'.repeat(1000) }));
  assert.equal((await post(server.origin, events, '/full/')).status, 200);
  await page.getByRole('radio', { name: 'clicks' }).focus();
  await page.keyboard.press('ArrowRight');
  await says(page, '#name', 'full');
  assert.match(page.url(), /#stream=full$/);
  await says(page, '#kind', 'Amazon Data Firehose');
  await says(page, '#state', 'retrying');
  await says(page, '#news', 'Stream full: retrying.');
  await says(page, '#verdict', 'full: not delivered yet');
  await shows(page, 'Waiting', '300');
  assert.match((await figure(page, 'Waiting'))[1], /^events, \d{3} KiB$/);
  assert.match((await figure(page, 'Oldest waits for'))[0], /^[\d.]+ m?s$/);
  const { last_error: error, used_percent: percent } = await status('full');
  await says(page, '#error.now .reason', error.reason);
  await says(page, '#error .advice', `What to do: ${error.advice}`);
  await says(page, '#error .since', 'It has lasted since');
  await says(page, '#capacity', `${percent}% full: `);
  assert.ok(percent > 20 && percent < 90);
  assert.equal(Math.floor(await page.getByLabel('Queue').evaluate((meter) => meter.value)), percent);
  await until(async () => /waiting: at most 300/.test(await page.getByRole('img', { name: 'Events that wait' }).locator('desc').textContent()), 'the queue in words');
  await page.reload();
  await says(page, '#name', 'full');
  await leave(visit1);
});

test('nothing but the status: no records, no map, and nothing else is asked for', async () => {
  const visitor = await Visitor.create(browser, server);
  const asked = new Set();
  visitor.context.on('request', (request) => asked.add(new URL(request.url()).pathname));
  const page = await visitor.open('/live.html');
  await connected(page);
  await until(() => page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('format=json')).length >= 3), 'three turns');
  for (const part of ['#records', '#places', '#problem']) assert.equal(await page.locator(part).isVisible(), false);
  assert.deepEqual([...asked].filter((path) => !path.startsWith('/live') && path !== '/icon.svg'), [STATUS]);
  await leave({ visitor });
});

// --- when it cannot be had ---

for (const [address, title, advice] of [
  ['/forbidden', 'The status is not for this browser', /Require lines in its <Location "\/forbidden">/],
  ['/nowhere', 'There is no status at /nowhere', /<Location "\/nowhere"> SetHandler clickstream-status/],
  ['/index.html', 'What is at /index.html is not the status', /It should be JSON/],
  ['/manifest.webmanifest', 'What is at /manifest.webmanifest is not the status', /It should be JSON/],
]) {
  test(`at ${address}: ${title}`, async () => {
    const visit1 = await look(address);
    const { page } = visit1;
    await says(page, '#problem-title', title);
    await says(page, '#problem-advice', advice);
    await says(page, '#verdict', 'Not connected');
    await says(page, '#news', title);
    assert.equal(await page.locator('#stream').isVisible(), false);
    await leave(visit1, RESOURCES);
  });
}

for (const [what, answer, title] of [
  ['a login', { status: 401 }, 'The server asks who you are'],
  ['an error', { status: 500 }, 'The server answers 500'],
  ['no stream', { json: { version: '1', generated_at: '2026-01-31T12:00:00.000Z', streams: [] } }, 'No stream is declared'],
  ['half an answer', { body: '{"version":' }, 'is not the status'],
  ['null', { body: 'null' }, 'is not the status'],
  ['other JSON', { json: { generated_at: '2026-01-31T12:00:00.000Z', streams: [{ name: 'x' }] } }, 'is not the status'],
]) {
  test(`${what}: it says so, and goes on when that is over`, async () => {
    const visitor = await Visitor.create(browser, server);
    await visitor.context.route(`**${STATUS}?*`, (route) => route.fulfill(answer));
    const page = await visitor.open('/live.html');
    await says(page, '#problem-title', title);
    await visitor.context.unroute(`**${STATUS}?*`);
    await connected(page);
    assert.equal(await page.locator('#problem').isVisible(), false);
    await leave({ visitor }, RESOURCES);
  });
}

test('the server stops and starts: the page keeps what it knew, says so, and goes on', async () => {
  const visit1 = await visit();
  const { page } = visit1;
  await connected(page);
  const known = (await figure(page, 'Accepted'))[1];
  await server.stop();
  await says(page, '#problem-title', 'The server does not answer');
  await says(page, '#news', 'The server does not answer');
  assert.equal((await figure(page, 'Accepted'))[1], known);
  assert.match(await page.locator('#asof').innerText(), /^As of \d\d:\d\d:\d\d\.$/);
  await server.start();
  await connected(page);
  await says(page, '#news', 'Stream clicks: idle');
  await post(server.origin, event());
  await shows(page, 'Accepted', undefined, known.replace(/^[\d,]+/, (number) => `${+number.replace(',', '') + 1}`));
  await leave(visit1, RESOURCES);
});

// --- what it does not do ---

const turns = (page) => {
  let number = 0;
  page.on('request', (request) => { number += request.url().includes('format=json'); });
  return () => number;
};

const restsFor = async (page, number) => {
  const begun = number();
  await page.waitForTimeout(2500); // two turns and a half that do not come
  return number() - begun;
};

test('it rests while nobody looks, and while it is paused', async () => {
  const visit1 = await visit();
  const { page } = visit1;
  const number = turns(page);
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await until(() => number() >= 2, 'two turns');
  await hide(true);
  assert.ok(await restsFor(page, number) <= 1); // one was under way
  const rested = number();
  await hide(false);
  await until(() => number() > rested, 'a turn at once', 900);

  await page.getByRole('button', { name: 'Pause' }).focus();
  await page.keyboard.press('Space');
  assert.equal(await page.getByRole('button', { name: 'Pause', pressed: true }).count(), 1);
  assert.ok(await restsFor(page, number) <= 1);
  await page.keyboard.press('Enter');
  const paused = number();
  await until(() => number() > paused, 'a turn');
  await leave(visit1);
});

test('a screen reader hears what changes, not each second', async () => {
  const visit1 = await visit();
  const { page } = visit1;
  await says(page, '#news', 'Stream clicks: idle.');
  const number = turns(page);
  await page.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(document.querySelector('#news').textContent))
      .observe(document.querySelector('#news'), { childList: true, characterData: true, subtree: true });
  });
  await until(() => number() >= 4, 'four turns');
  assert.deepEqual(await page.evaluate(() => window.said), []);
  assert.equal(await page.locator('[aria-live], [role=status], [role=alert]').count(), 1);
  for (const name of ['Events a second', 'Delivery latency', 'Events that wait'])
    assert.equal(await page.getByRole('img', { name }).count(), 1, name);
  await leave(visit1);
});

// --- what may come from another version, and from people who mean harm ---

const HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>';

const stream = (more) => ({
  name: 'a', kind: 'file', state: 'idle', healthy: true, why: null, waiting: 0, waiting_bytes: 0, oldest_seconds: 0, used_percent: 0,
  used_bytes: 0, capacity_bytes: 1, appended: 0, delivered: 0, refused_total: 0, refused: {}, last_error: null, trend: [],
  latency: { p50_seconds: null, p99_seconds: null, buckets: [{ within_seconds: 1, count: 0 }, { within_seconds: null, count: 0 }] },
  ...more,
});

const given = async (streams) => {
  const visitor = await Visitor.create(browser, server);
  await visitor.context.route(`**${STATUS}?*`, (route) => route.fulfill({
    json: { version: HOSTILE, generated_at: '2026-01-31T12:00:00.000Z', streams },
  }));
  return { visitor, page: await visitor.open('/live.html') };
};

test('texts of the status are texts', async () => {
  const trouble = { at: '2026-01-31T11:59:00.000Z', since: null, failures: 1234, most_waiting: 5, reason: HOSTILE, advice: HOSTILE };
  const visit1 = await given([stream({ name: HOSTILE, kind: HOSTILE, state: HOSTILE, healthy: false, why: HOSTILE,
    refused: { [HOSTILE]: 3 }, refused_total: 3, last_error: trouble }), stream({ name: 'b' })]);
  const { page } = visit1;
  for (const part of ['#name', '#kind', '#state', '#why', '#error .reason', '#error .advice', '#refused tbody', '#version', '#choice'])
    await says(page, part, HOSTILE);
  await says(page, '#error .since', '1 min 0 s ago. It is over: 1,234 failures, 5 events waited at most.');
  await says(page, '#verdict', '1 of 2 streams needs attention');
  assert.equal(await page.locator('img, script:not([src="live.js"])').count(), 0);
  assert.equal(await page.title(), 'Clickstream, live');
  await leave(visit1);
});

test('a queue that cannot be used has no numbers', async () => {
  const none = Object.fromEntries(['waiting', 'waiting_bytes', 'oldest_seconds', 'used_percent', 'used_bytes', 'capacity_bytes',
    'appended', 'delivered', 'refused_total'].map((name) => [name, null]));
  const visit1 = await given([stream({ state: 'unusable', healthy: false, why: 'its queue file cannot be used', ...none })]);
  await says(visit1.page, '#state', 'unusable');
  await says(visit1.page, '#why', 'Not healthy: its queue file cannot be used.');
  assert.equal(await visit1.page.locator('#numbers').isVisible(), false);
  await leave(visit1);
});

test('the first picture has the past that the status knows', async () => {
  const at = (seconds) => new Date(Date.parse('2026-01-31T12:00:00.000Z') - seconds * 1000).toISOString();
  const sample = (seconds, appended, delivered, latency) =>
    ({ at: at(seconds), appended, delivered, refused_total: 0, waiting: appended - delivered, latency });
  const visit1 = await given([stream({
    appended: 1000, delivered: 900, waiting: 100,
    trend: [sample(20, 0, 0, [0, 0]), sample(10, 800, 300, [300, 300])],
    latency: { p50_seconds: 0.5, p99_seconds: 0.99, buckets: [{ within_seconds: 1, count: 900 }, { within_seconds: null, count: 900 }] },
  })]);
  const words = (name) => visit1.page.getByRole('img', { name }).locator('desc').textContent();
  await says(visit1.page, '#state', 'idle');
  assert.equal(await words('Events a second'),
    'The last minutes. accepted: at most 80.0, at last 20.0. delivered: at most 60.0, at last 60.0. refused: at most 0, at last 0.');
  assert.equal(await words('Events that wait'), 'The last minutes. waiting: at most 500, at last 100.');
  assert.equal(await words('Delivery latency'), 'The last minutes: at most 990 ms, at last p50 500 ms, p99 990 ms.');
  await shows(visit1.page, 'Accepted', '20.0/s', '1,000 in all');
  await leave(visit1);
});

test('a new queue file begins a new history', async () => {
  const visit1 = await visit();
  const counted = (appended) => stream({ appended, delivered: appended });
  const now = await visit1.page.evaluate(async ([before, first, second]) => {
    const { History } = await import('/live/history.js');
    const history = new History();
    history.add(before, 1e6);
    history.add(first, 1e6 + 1000);
    history.add(second, 1e6 + 3000);
    return history.now();
  }, [counted(1000), counted(5), counted(9)]);
  assert.deepEqual([now.from, now.to, now.accepted], [1e6 + 1000, 1e6 + 3000, 2]);
  await leave(visit1);
});

// --- the demo ---

const freePort = async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
};

async function startDemo() {
  const folder = mkdtempSync(join(tmpdir(), 'live-test-'));
  chmodSync(folder, 0o755);
  const origin = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(join(process.env.BUILDDIR ?? TOP, 'httpd-conf/demo/demo.sh'), [], {
    detached: true, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, PORT: new URL(origin).port, TMPDIR: folder },
  });
  let said = '';
  child.stdout.on('data', (text) => { said += text; });
  await until(() => said.includes('HELLO') || child.exitCode !== null, 'the demo').catch(() => {});
  return {
    origin,
    said: () => said,
    async close() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      const left = existsSync(folder) ? readdirSync(folder) : [];
      rmSync(folder, { recursive: true, force: true });
      assert.deepEqual([child.exitCode, left], [0, []]);
    },
  };
}

const HONG_KONG = { latitude: 22.3193, longitude: 114.1694 };
const REYKJAVIK = { latitude: 64.1466, longitude: -21.9426 };

test('the demo: from a click in Touchwood to the live page', async (t) => {
  const demo = await startDemo();
  t.after(() => demo.close());
  for (const path of ['/', '/live.html', STATUS])
    assert.match(demo.said(), new RegExp(`^  ${demo.origin}${path} `, 'm'));
  const person = await visit('/', { server: demo, geolocation: REYKJAVIK, permissions: ['geolocation'] });
  const watcher = await visit('/live.html', { server: demo });
  const { page } = watcher;
  const row = (...texts) => page.locator(`#records tbody tr:has(th:text-is("${texts[0]}")):has(td:text-is("${texts[1]}"))`);
  const points = () => page.locator('#map circle').evaluateAll((all) => all.map(({ cx, cy }) => [cx.baseVal.value, cy.baseVal.value]));
  await row('LIKE_WOOD', '3').waitFor(); // of the demo's own four
  await until(async () => (await points()).length === 1, 'the first place');

  await person.page.getByRole('button', { name: 'Like' }).click();
  await person.page.locator('#language').click();
  await row('LIKE_WOOD', '0').waitFor();
  await row('CLICK_LANG', 'hk').waitFor();
  await person.page.locator('#place').click();
  await person.page.locator('#share').click();
  await row('GEO_LOC', '64.15° N, 21.94° W').waitFor();
  await until(async () => (await points()).length === 2, 'the second place');
  const { far, near } = await page.evaluate(async ([a, b]) => {
    const { project } = await import('/live/world.js');
    return { far: project(a.longitude, a.latitude), near: project(b.longitude, b.latitude) };
  }, [REYKJAVIK, HONG_KONG]);
  // Each in its quarter of the world.
  assert.deepEqual([near, far].map(([x, y]) => [x > 750, y < 120]), [[true, false], [false, true]]);
  assert.ok(near[1] < 244 && far[0] > 300 && far[0] < 500);
  assert.deepEqual(await points(), [near, far].map((place) => place.map((x) => Math.fround(x.toFixed(1))))); // the newest on top
  await says(page, '#places-about', '2 from 2 places');
  await says(page, '#places-list li:first-child', '64.15° N, 21.94° W');
  await shows(page, 'Delivered', undefined, '7 in all');

  await post(demo.origin, [event({ tag: HOSTILE, value: HOSTILE, token: HOSTILE, more: { a: HOSTILE } }),
    event({ tag: 'GEO_LOC_2', value: undefined, latitude: 'north', longitude: HOSTILE, timestamp: '2022-02-22T18:37:28.205Z' })]);
  await says(page, '#records tbody th', HOSTILE);
  await says(page, '#records td', `more: ${JSON.stringify({ a: HOSTILE })}`);
  await page.locator('#records td', { hasText: '2022-02-2' }).first().waitFor();
  assert.equal(await page.locator('img, script:not([src="live.js"])').count(), 0);
  assert.equal(await page.title(), 'Clickstream, live');
  assert.deepEqual(await points(), [near, far].map((place) => place.map((x) => Math.fround(x.toFixed(1)))));
  await leave(person);
  await leave(watcher);

  const crowd = [[51.5, -0.12], [40.7, -74], [-33.86, 151.2], [35.68, 139.69], [-23.55, -46.63], [1.35, 103.8], [-1.29, 36.8]];
  for (const size of [3, 8, 14, 9, 4]) {
    await post(demo.origin, Array.from({ length: size }, (_, i) => event({ value: i % 12 })));
    await post(demo.origin, [event({ tag: 'CLICK_LANG', value: 'en' }), {}, ...crowd.slice(0, size / 2).map(([latitude, longitude]) =>
      event({ tag: 'GEO_LOC', value: undefined, latitude, longitude }))]);
    await new Promise((done) => { setTimeout(done, 1500); });
  }
  await photograph('live', { server: demo });
});

// --- pictures, for people to look at ---

async function photograph(name, options, path) {
  for (const [device, viewport] of [['phone', { width: 390, height: 844 }], ['desktop', { width: 1280, height: 900 }]]) {
    for (const colorScheme of ['light', 'dark']) {
      const visit1 = await visit(path, { ...options, viewport, colorScheme, reducedMotion: 'reduce' });
      await visit1.page.locator('#stream').waitFor();
      assert.equal(await visit1.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'it fits');
      await visit1.page.screenshot({ path: join(SHOTS, `${name}-${device}-${colorScheme}.png`), fullPage: true });
      await leave(visit1);
    }
  }
}

test('pictures of a stream that cannot deliver', () => photograph('live-retrying', {}, '/live.html#stream=full'));

test('a picture of no server', async () => {
  const visit1 = await look('/forbidden');
  await says(visit1.page, '#problem-title', 'not for this browser');
  await visit1.page.screenshot({ path: join(SHOTS, 'live-forbidden.png') });
  await leave(visit1, RESOURCES);
});

test('nothing moves for who wants that', async () => {
  const visit1 = await visit('/live.html', { reducedMotion: 'reduce' });
  const moving = await visit1.page.evaluate(() => {
    const row = document.createElement('tr');
    row.className = 'new';
    document.querySelector('#records tbody').append(row);
    return getComputedStyle(row).animationName;
  });
  assert.equal(moving, 'none');
  await leave(visit1);
});
