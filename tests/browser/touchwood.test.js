// Touchwood in a real browser: what a hand can do, and that each of it arrives as the record that it should.
// Screenshots go to screenshots/, to be looked at.
// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { load, startBrowser, startServer, TOP, until, Visitor } from './harness.js';

const { sayings, texts } = await load('webapp/sayings.js');
const { woods } = await load('webapp/woods.js');

const SCREENSHOTS = join(TOP, 'tests/browser/screenshots');
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
const SMALL = { viewport: { width: 360, height: 640 } }; // a wood costs by the pixel
const HONG_KONG = { latitude: 22.3193, longitude: 114.1694 };

// As an administrator would have it who verifies the app's tokens.
const SECRET = readFileSync(join(TOP, 'webapp/app.js'), 'utf8').match(/SECRET = '(.*)'/)[1];
const VERIFIED = `
<Location "/verified/">
    SetHandler clickstream
    ClickstreamAuth jwt
    ClickstreamClient touchwood-app secret=@ROOT@/secret
</Location>
`;

let server;
let browser;
before(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  [server, browser] = await Promise.all([startServer({ directives: VERIFIED, files: { secret: SECRET } }), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** One person's visit. A word in the console fails it, but for what it expects. */
function visit(name, options, body) {
  test(name, async () => {
    const { expected = [], ...rest } = options;
    const visitor = await Visitor.create(browser, server, { ...SMALL, locale: 'en-GB', ...rest });
    await body(visitor, await visitor.open('/'));
    assert.deepEqual(visitor.console.filter((text) => !expected.some((known) => known.test(text))), []);
    await visitor.close();
  });
}

const like = (page) => page.click('#like');
const shown = async (page) => parseInt(await page.locator('.board[aria-hidden=false] .number').textContent()) - 1;
const name = (page) => page.locator('.board[aria-hidden=false] h2').textContent();
const still = (page) => page.waitForFunction(
  () => [...document.querySelectorAll('.board')].filter(({ style }) => style.visibility === 'visible').length === 1);
const painted = (page) => page.waitForFunction(() => document.querySelector('.board[aria-hidden=false] canvas'));
const asked = (page) => page.locator('#ask').waitFor();
const says = (page, key, language = 'en') => page.waitForFunction(
  (text) => document.querySelector('#toast.shown')?.textContent === text, texts[language][key]);

/** A finger, from one place to another within `ms`. */
async function swipe(page, [x, y], [toX, toY], { ms = 120, then = 'touchEnd' } = {}) {
  const devtools = await page.context().newCDPSession(page);
  let timestamp = Date.now() / 1000; // told, as a busy machine's fingers are slow
  const touch = (type, ...touchPoints) => devtools.send('Input.dispatchTouchEvent', { type, touchPoints, timestamp });
  await touch('touchStart', { x, y });
  for (let step = 1; step <= 6; step++) {
    timestamp += ms / 6000;
    await touch('touchMove', { x: x + (toX - x) * step / 6, y: y + (toY - y) * step / 6 });
  }
  await touch(then);
  await devtools.detach();
}

describe('what is sent', { concurrency: 4 }, () => {
  visit('each click is the record of the first implementation, and nothing else is sent', {
    ...PHONE, geolocation: HONG_KONG, permissions: ['geolocation'],
  }, async (visitor, page) => {
    const began = new Date().toISOString();
    await page.click('#language');
    await page.click('#language');
    await page.click('#next');
    await like(page);
    await like(page);
    await page.click('#previous');
    await page.click('#previous');
    await like(page);
    await page.click('#place');
    await page.click('#share');
    await says(page, 'shared');
    await visitor.delivered(6);
    const records = visitor.lines().map((line) => JSON.parse(line));
    const ended = new Date().toISOString();
    for (const { token, timestamp } of records) {
      assert.match(token, /^[a-z0-9]{16}$/);
      assert.ok(began <= timestamp && timestamp <= ended, timestamp);
    }
    const added = { client_id: 'touchwood-app', client_ip: '127.0.0.1', user_agent: visitor.name };
    const [{ token }] = records;
    assert.deepEqual(
      records.sort((one, other) => (one.timestamp < other.timestamp ? -1 : 1))
        .map(({ timestamp, ...rest }) => Object.entries(rest)),
      [
        { tag: 'CLICK_LANG', value: 'hk' }, { tag: 'CLICK_LANG', value: 'en' }, { tag: 'LIKE_WOOD', value: 1 },
        { tag: 'UNLIKE_WOOD', value: 1 }, { tag: 'LIKE_WOOD', value: woods.length - 1 }, { tag: 'GEO_LOC', ...HONG_KONG },
      ].map((event) => Object.entries({ token, ...event, ...added })));
    for (const { headers } of visitor.sent) {
      assert.equal(headers.client_id, 'touchwood-app');
      assert.equal(headers['content-type'], 'application/json');
    }
    assert.equal(visitor.sent.flatMap(({ body }) => JSON.parse(body)).length, 6);
  });

  visit('the bearer token is a JWT that the collector verifies', {}, async (visitor, page) => {
    await like(page);
    await visitor.delivered(1);
    const now = Date.now() / 1000;
    const [scheme, token] = visitor.sent[0].headers.authorization.split(' ');
    const [head, payload, signature] = token.split('.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
    const { iat, nbf, exp, ...claims } = read(payload);
    assert.equal(scheme, 'Bearer');
    assert.deepEqual(read(head), { alg: 'HS256', typ: 'JWT' });
    assert.deepEqual(claims, { iss: 'touchwood-app', sub: 'poc-kstream' });
    assert.ok(Math.abs(iat - now) < 60);
    assert.equal(nbf, iat - 60);
    assert.equal(exp, iat + 12 * 3600);
    assert.equal(signature, createHmac('sha256', SECRET).update(`${head}.${payload}`).digest('base64url'));
    const statusOf = async (bearer) => (await fetch(`${server.origin}/verified/`, {
      method: 'POST', headers: { client_id: 'touchwood-app', authorization: `Bearer ${bearer}` },
      body: '{"token":"a","timestamp":"2026-01-31T12:00:00Z","tag":"LIKE_WOOD","value":1}',
    })).status;
    assert.equal(await statusOf(token), 200);
    assert.equal(await statusOf(`${head}.${payload}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`), 401);
  });

  visit('a page closed right after a click loses nothing', {}, async (visitor, page) => {
    await like(page);
    await page.close();
    assert.deepEqual(await visitor.delivered(1), [{ tag: 'LIKE_WOOD', value: 0 }]);
  });

  visit('who does not want to be tracked is not, and has the woods all the same', {
    scripts: ["Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"],
  }, async (visitor, page) => {
    await like(page);
    await page.keyboard.press('ArrowRight');
    await page.click('#place');
    await says(page, 'optedOut');
    await page.reload();
    assert.equal(await shown(page), 1);
    await page.keyboard.press('ArrowLeft');
    assert.equal(await page.getAttribute('#like', 'aria-pressed'), 'true');
    assert.deepEqual(visitor.sent, []);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), ['touchwood']);
  });
});

describe('the location', { concurrency: 4 }, () => {
  // Counts how often the browser is asked.
  const counted = `
    window.asked = 0;
    const original = Geolocation.prototype.getCurrentPosition;
    Geolocation.prototype.getCurrentPosition = function (...all) { window.asked++; return original.apply(this, all); };`;

  visit('is asked for after a click that explains why, and once', {
    scripts: [counted], geolocation: HONG_KONG, permissions: ['geolocation'],
  }, async (visitor, page) => {
    await page.click('#place');
    await asked(page);
    assert.match(await page.textContent('#ask-body'), /your position is sent to this site, one time/);
    await page.click('#not-now');
    await page.click('#place');
    await asked(page);
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate('asked'), 0);
    await page.click('#place');
    await page.click('#share');
    await says(page, 'shared');
    assert.equal(await page.evaluate('asked'), 1);
    for (const again of [false, true]) {
      if (again) await page.reload();
      await page.click('#place');
      await says(page, 'shared');
      assert.equal(await page.locator('#ask').isVisible(), false);
    }
    assert.equal(await page.evaluate('asked'), 0, 'since the reload');
    assert.deepEqual(await visitor.delivered(1), [{ tag: 'GEO_LOC', ...HONG_KONG }]);
  });

  visit('refused, nothing is sent', {}, async (visitor, page) => {
    await page.click('#place');
    await page.click('#share');
    await says(page, 'refused');
    await like(page);
    assert.deepEqual(await visitor.delivered(1), [{ tag: 'LIKE_WOOD', value: 0 }]);
  });

  visit('denied for good, the page says where that can be changed', {
    scripts: ['Permissions.prototype.query = async () => ({ state: "denied" })'],
  }, async (visitor, page) => {
    await page.click('#place');
    await says(page, 'denied');
    assert.equal(await page.locator('#ask').isVisible(), false);
  });

  visit('unknown to the device, it may be asked again', {
    scripts: ['Geolocation.prototype.getCurrentPosition = (found, lost) => lost({ code: 2, message: "?" })'],
  }, async (visitor, page) => {
    await page.click('#place');
    await page.click('#share');
    await says(page, 'lost');
    await page.click('#place');
    await asked(page);
  });
});

describe('what is kept', { concurrency: 4 }, () => {
  visit('likes, language and position survive a reload, and reach other tabs', {}, async (visitor, page) => {
    await like(page);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await like(page);
    await page.click('#language');
    const other = await visitor.open('/');
    for (const tab of [page, other]) {
      await page.reload();
      assert.equal(await shown(tab), 2);
      assert.equal(await name(tab), woods[2].name.hk);
      assert.equal(await tab.getAttribute('html', 'lang'), 'zh-Hant-HK');
      assert.equal(await tab.getAttribute('#like', 'aria-pressed'), 'true');
      await tab.keyboard.press('ArrowLeft');
      assert.equal(await tab.getAttribute('#like', 'aria-pressed'), 'false');
      await tab.keyboard.press('ArrowLeft');
      assert.equal(await tab.getAttribute('#like', 'aria-pressed'), 'true');
      await tab.keyboard.press('ArrowRight');
      await tab.keyboard.press('ArrowRight');
    }
    await like(page);
    await other.waitForFunction(() => document.querySelector('#like').getAttribute('aria-pressed') === 'false');
  });

  for (const kept of [
    'no JSON', 'null', '{"index":99,"language":"xx","likes":"all"}', '{"index":"length"}', '{"likes":["oak","yew"],"index":1}',
  ]) {
    visit(`whatever stands in the store: ${kept}`, {
      scripts: [`if (location.host) localStorage.setItem('touchwood', ${JSON.stringify(kept)})`],
    }, async (visitor, page) => {
      assert.equal(await shown(page), kept.includes('"index":1') ? 1 : 0);
      assert.equal(await page.locator('#ruler .liked').count(), kept.includes('oak') ? 1 : 0);
    });
  }

  visit('without a store it works as long as the page lasts', {
    scripts: ["Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"],
  }, async (visitor, page) => {
    await like(page);
    assert.equal(await page.getAttribute('#like', 'aria-pressed'), 'true');
    assert.deepEqual(await visitor.delivered(1), [{ tag: 'LIKE_WOOD', value: 0 }]);
  });

  visit('the first language is the browser’s', { locale: 'zh-TW' }, async (visitor, page) => {
    assert.equal(await page.title(), texts.hk.title);
  });
});

describe('the deck', { concurrency: 4 }, () => {
  visit('moves by keys and buttons, round and round', {}, async (visitor, page) => {
    for (const [act, index] of [
      [() => page.keyboard.press('ArrowLeft'), woods.length - 1], [() => page.keyboard.press('ArrowRight'), 0],
      [() => page.click('#next'), 1], [() => page.click('#previous'), 0],
      [() => page.keyboard.press('Control+ArrowRight'), 0],
    ]) {
      await act();
      assert.equal(await shown(page), index);
    }
    for (let index = 1; index <= woods.length; index++) await page.keyboard.press('ArrowRight');
    assert.equal(await shown(page), 0);
    await page.click('#place');
    await asked(page);
    await page.keyboard.press('ArrowRight');
    assert.equal(await shown(page), 0, 'a dialogue has the keys');
  });

  visit('follows the finger', PHONE, async (visitor, page) => {
    for (const [what, from, to, options, index] of [
      ['to the left', [300, 400], [60, 410], {}, 1],
      ['to the right', [60, 400], [300, 410], {}, 0],
      ['a little, slowly', [200, 400], [150, 400], { ms: 600 }, 0],
      ['a little, quickly', [200, 400], [120, 400], { ms: 60 }, 1],
      ['down', [200, 300], [190, 600], {}, 1],
      ['taken away by the system', [300, 400], [60, 400], { then: 'touchCancel' }, 1],
    ]) {
      await swipe(page, from, to, options);
      await still(page);
      assert.equal(await shown(page), index, what);
    }
    assert.deepEqual(visitor.sent, [], 'nobody is told of it');
  });

  visit('does not slide for those whom that makes ill', { reducedMotion: 'reduce' }, async (visitor, page) => {
    await page.click('#next');
    const transform = await page.evaluate(() => document.querySelector('.board[aria-hidden=false]').style.transform);
    assert.match(transform, /^translateX\(0%\)/);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  });

  visit('every wood is drawn, no two alike', { ...PHONE, deviceScaleFactor: 1 }, async (visitor, page) => {
    const seen = new Set();
    for (const wood of woods) {
      await painted(page);
      seen.add(await page.evaluate(() => document.querySelector('.board[aria-hidden=false] canvas').toDataURL()));
      assert.equal(await name(page), wood.name.en);
      await page.keyboard.press('ArrowRight');
    }
    assert.equal(seen.size, woods.length);
    assert.ok(woods.length >= 11);
    for (const language of ['en', 'hk']) assert.equal(new Set(woods.map(({ id }) => sayings[id][language])).size, woods.length);
  });
});

describe('who cannot see, or not well', { concurrency: 4 }, () => {
  visit('hears a name of each button, and each card', {}, async (visitor, page) => {
    for (const language of ['en', 'hk']) {
      const words = texts[language];
      const wood = woods[0].name[language];
      const names = [words.place, words.other, words.previous, words.like(wood), words.next];
      for (const each of names) assert.equal(await page.getByRole('button', { name: each, exact: true }).count(), 1, each);
      assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), words.title);
      assert.equal(await page.getAttribute('html', 'lang'), words.lang);
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowLeft');
      assert.equal(await page.textContent('#news'),
        words.card(1, woods.length, wood, sayings[woods[0].id][language].replaceAll('\n', '')));
      await page.click('#language');
    }
  });

  visit('comes to each button with the Tab key, sees where, and uses it', {}, async (visitor, page) => {
    for (const id of ['place', 'language', 'previous', 'like', 'next']) {
      await page.keyboard.press('Tab');
      const { outlineStyle, outlineWidth } = await page.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return { outlineStyle, outlineWidth };
      });
      assert.equal(await page.evaluate(() => document.activeElement.id), id);
      assert.deepEqual({ outlineStyle, outlineWidth }, { outlineStyle: 'solid', outlineWidth: '3px' }, id);
    }
    await page.focus('#like');
    await page.keyboard.press('Space');
    assert.equal(await page.getAttribute('#like', 'aria-pressed'), 'true');
    await page.focus('#place');
    await page.keyboard.press('Enter');
    await asked(page);
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'place');
  });

  // WCAG 2.2, 1.4.3: 4.5 to 1 for text, 3 to 1 for large text. Held for the mean of what lies under the words, and 3 to
  // 1 for the tenth of it that is nearest to the ink.
  for (const colorScheme of ['light', 'dark']) {
    for (const locale of ['en-GB', 'zh-HK']) {
      visit(`can read all words: ${colorScheme}, ${locale}`, {
        ...PHONE, deviceScaleFactor: 1, colorScheme, locale,
      }, async (visitor, page) => {
        await page.addStyleTag({ url: '/calm.css' });
        for (const { id } of woods) {
          await painted(page);
          await still(page);
          const { mean, worst } = await contrast(page, await ground(page));
          assert.ok(mean >= 4.5 && worst >= 3, `${id}: ${mean.toFixed(2)}, ${worst.toFixed(2)}`);
          await page.keyboard.press('ArrowRight');
        }
      });
    }
  }

  // What is seen behind the words, as a picture.
  async function ground(page) {
    const box = await page.locator('.board[aria-hidden=false] .saying').boundingBox();
    await page.evaluate(() => document.body.classList.add('wordless'));
    const picture = await page.screenshot({ clip: box });
    await page.evaluate(() => document.body.classList.remove('wordless'));
    return `data:image/png;base64,${picture.toString('base64')}`;
  }

  function contrast(page, url) {
    return page.evaluate(async (source) => {
      const picture = new Image();
      picture.src = source;
      await picture.decode();
      const canvas = new OffscreenCanvas(picture.width, picture.height);
      const context = canvas.getContext('2d');
      context.drawImage(picture, 0, 0);
      const { data } = context.getImageData(0, 0, picture.width, picture.height);
      const linear = (channel) => (channel <= 10.31 ? channel / 3294.6 : ((channel / 255 + 0.055) / 1.055) ** 2.4);
      const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
      const ink = luminance(getComputedStyle(document.querySelector('.board[aria-hidden=false] .saying')).color.match(/[\d.]+/g).map(Number));
      const ratios = [];
      let sum = 0;
      const ratio = (other) => (Math.max(ink, other) + 0.05) / (Math.min(ink, other) + 0.05);
      for (let at = 0; at < data.length; at += 4) {
        const other = luminance(data.subarray(at, at + 3));
        sum += other;
        ratios.push(ratio(other));
      }
      ratios.sort((one, other) => one - other);
      return { mean: ratio(sum / ratios.length), worst: ratios[Math.floor(ratios.length / 10)] };
    }, url);
  }

  // Each saying, on each screen: nothing is cut off, nothing lies over it. 320 px is WCAG's reflow: 1280 px at 400 %.
  for (const [width, height] of [[320, 568], [390, 844], [667, 320], [844, 390], [768, 1024], [1280, 720], [1920, 1080]]) {
    visit(`finds every word on ${width} × ${height}`, {
      viewport: { width, height }, reducedMotion: 'reduce',
    }, async (visitor, page) => {
      for (const language of ['en', 'hk']) {
        for (const { id } of woods) {
          await still(page);
          const cut = await page.evaluate(() => {
            const board = document.querySelector('.board[aria-hidden=false]');
            const words = board.querySelector('.words');
            const range = document.createRange();
            range.selectNodeContents(board.querySelector('.saying'));
            const text = range.getBoundingClientRect();
            const under = [...document.querySelectorAll('header button, footer button, h1')].filter((element) => {
              const box = element.getBoundingClientRect();
              return box.left < text.right && text.left < box.right && box.top < text.bottom && text.top < box.bottom;
            });
            const problems = under.map(({ id: it, tagName }) => `under ${it || tagName}`);
            if (words.scrollWidth > words.clientWidth + 1) problems.push('too wide');
            if (words.scrollHeight > words.clientHeight + 1) problems.push('too high');
            if (text.left < 0 || text.top < 0 || text.right > innerWidth || text.bottom > innerHeight) problems.push('outside');
            return problems;
          });
          assert.deepEqual(cut, [], `${language} ${id}`);
          await page.keyboard.press('ArrowRight');
        }
        await page.click('#language');
      }
    });
  }
});

describe('around it', { concurrency: 4 }, () => {
  visit('the page says what it is, and only its own files may run', {}, async (visitor, page) => {
    const { headers, status } = await fetch(`${server.origin}/`);
    assert.equal(status, 200);
    assert.match(headers.get('content-security-policy'), /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(headers.get('content-security-policy'), /unsafe/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
    assert.ok((await page.title()).length > 0);
    assert.ok((await page.getAttribute('meta[name=description]', 'content')).length > 40);
    const manifest = await (await fetch(new URL(await page.getAttribute('link[rel=manifest]', 'href'), page.url()))).json();
    assert.ok(manifest.name && manifest.start_url && manifest.display === 'standalone');
    for (const { src, sizes, type } of manifest.icons) {
      const icon = await fetch(new URL(src, page.url()));
      assert.equal(icon.headers.get('content-type').split(';')[0], type, src);
      const size = await page.evaluate(async (url) => {
        const picture = new Image();
        picture.src = url;
        await picture.decode();
        return `${picture.naturalWidth}x${picture.naturalHeight}`;
      }, `/${src}`);
      if (sizes !== 'any') assert.equal(size, sizes, src);
    }
    assert.match(await (await fetch(`${server.origin}/robots.txt`)).text(), /^User-agent: \*$/m);
    await page.evaluate(() => {
      document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.injected = 1' }));
    });
    assert.equal(await page.evaluate('window.injected'), undefined);
    assert.match(visitor.console.pop(), /Content Security Policy/);
  });

  visit('an address where nothing is', { expected: [/404/] }, async (visitor, page) => {
    const answer = await page.goto('/a/wrong/turn');
    assert.equal(answer.status(), 404);
    await page.screenshot({ path: join(SCREENSHOTS, 'touchwood-404.png') });
    await page.click('a');
    assert.equal(await page.title(), 'Touchwood');
  });

  for (const [device, options] of [['phone', PHONE], ['desktop', { viewport: { width: 1280, height: 800 } }]]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const [language, locale] of [['en', 'en-GB'], ['hk', 'zh-HK']]) {
        visit(`screenshots: ${device}, ${colorScheme}, ${language}`, { ...options, colorScheme, locale }, async (visitor, page) => {
          const shoot = (what) => page.screenshot({ path: join(SCREENSHOTS, `touchwood-${device}-${colorScheme}-${language}-${what}.png`) });
          for (const index of [0, 5]) {
            while (await shown(page) !== index) await page.keyboard.press('ArrowRight');
            await painted(page);
            await still(page);
            await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState !== 'running'));
            await shoot(woods[index].id);
          }
          await page.click('#place');
          await asked(page);
          await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState !== 'running'));
          await shoot('location');
          await asked(page);
        });
      }
    }
  }
});

// The server is everybody's: so this comes when the others are through.
test('while the server is away nothing is lost', async () => {
  const visitor = await Visitor.create(browser, server, {});
  const page = await visitor.open('/');
  await server.stop();
  await like(page);
  await page.keyboard.press('ArrowRight');
  await like(page);
  await until(() => visitor.sent.length > 1, 'two attempts');
  await server.start();
  assert.deepEqual(await visitor.delivered(2), [{ tag: 'LIKE_WOOD', value: 0 }, { tag: 'LIKE_WOOD', value: 1 }]);
  assert.equal(visitor.lines().length, 2);
  await visitor.close();
});
