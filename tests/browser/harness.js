// What the browser's tests share: the server, Chromium, tabs, and what was delivered.
// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { Gate } from './gate.js';

const HERE = dirname(fileURLToPath(import.meta.url));
export const TOP = join(HERE, '../..');

/** A module of webapp/ that imports no other. Node 18 knows one by its package.json alone, which a site does not have. */
export const load = (path) => import(`data:text/javascript,${encodeURIComponent(readFileSync(join(TOP, path), 'utf8'))}`);

export async function until(condition, what, ms = 15000) {
  for (const end = Date.now() + ms; ;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((done) => { setTimeout(done, 50); });
  }
}

/** The private httpd; server.py has the options. Its end fails where its error log has what no test expects. */
export async function startServer(options = {}) {
  const child = spawn(process.env.PYTHON ?? 'python3', [join(HERE, 'server.py'), JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'], detached: true, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const hear = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the server did not start, or ended');
    return JSON.parse(value);
  };
  const { port, root } = await hear();
  const tell = (word) => {
    child.stdin.write(`${word}\n`);
    return hear();
  };
  return {
    origin: `http://127.0.0.1:${port}`,
    stop: () => tell('stop'),
    start: () => tell('start'),
    async close() {
      child.stdin.end();
      const [code] = await once(child, 'exit');
      if (code !== 0) throw new Error('the server ended with an error');
    },
    lines: reader(join(root, 'objects')),
  };
}

/** A function that returns all delivered lines, or one User-Agent's. An object is complete once it has its name. */
function reader(folder) {
  const seen = new Set();
  const lines = [];
  return (agent) => {
    for (const entry of existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : []) {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      if (!entry.isFile() || entry.name.startsWith('.') || seen.has(path)) continue;
      seen.add(path);
      lines.push(...readFileSync(path, 'utf8').split('\n').filter(Boolean));
    }
    const end = `"user_agent":${JSON.stringify(agent)}}`;
    return agent === undefined ? lines : lines.filter((line) => line.endsWith(end));
  };
}

// The first needs a third of the second's time for a page, as it draws no window around it.
const CHROMIUMS = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'];

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? CHROMIUMS.find(existsSync),
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
}

/** One person's browser: its events are known by its User-Agent. */
export class Visitor {
  static #made = 0;

  static async create(browser, server, { scripts = [], ...options } = {}) {
    const visitor = new Visitor();
    visitor.name = `visitor ${Visitor.#made++};`;
    visitor.server = server;
    visitor.console = []; // errors and warnings of all tabs
    visitor.gate = await Gate.open(server.origin);
    visitor.context = await browser.newContext({ userAgent: visitor.name, baseURL: visitor.gate.origin, ...options });
    for (const script of scripts) await visitor.context.addInitScript(script);
    visitor.context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) visitor.console.push(message.text());
    });
    visitor.context.on('weberror', (error) => visitor.console.push(String(error.error())));
    return visitor;
  }

  /** All that was posted. */
  get sent() {
    return this.gate.sent;
  }

  async close() {
    await this.context.close();
    this.gate.close();
  }

  /** A tab whose page has loaded; with options, it makes a tracker. */
  async open(path, options) {
    const page = await this.context.newPage();
    if (options) await page.addInitScript((given) => { window.options = given; }, options);
    await page.goto(path);
    await page.waitForLoadState();
    return page;
  }

  lines() {
    return this.server.lines(this.name);
  }

  /** Delivered events in the order of their time, without what every event has. */
  events() {
    const time = (event) => Date.parse(event.timestamp);
    return this.lines().map((line) => JSON.parse(line)).sort((a, b) => time(a) - time(b))
      .map(({ token, timestamp, client_id, client_ip, user_agent, ...rest }) => rest);
  }

  values() {
    return this.events().map(({ value }) => value);
  }

  async delivered(count, ms) {
    await until(() => this.lines().length >= count, `${count} events of ${this.name}`, ms).catch((error) => {
      throw new Error(`${error.message}, not ${JSON.stringify(this.events())}; said: ${this.console}`);
    });
    return this.events();
  }
}
