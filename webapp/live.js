// The live page: asks the status handler once a second, and shows what it says. It needs nothing else; where the
// status's answer tells of the latest records (live/records.js), it shows those as well. All values are set as text.
// SPDX-License-Identifier: Apache-2.0
import { bar, html, Lines, Ranges, say } from './live/charts.js';
import { History } from './live/history.js';
import { address, parse, Table, WorldMap } from './live/records.js';
import { bytes, count, decimal, duration, kinds, reasons, states, time } from './live/words.js';

const PERIOD = 1000;
const PATIENCE = 10000; // until a request is given up
const PART = 2000, LATENCY_PART = 10000; // of the charts

const find = id => document.getElementById(id);
const { status: given } = document.querySelector('[data-status]')?.dataset ?? {};
const page = new URL(given || '/clickstream-status', document.baseURI);
const source = new URL(page);
source.searchParams.set('format', 'json');
find('page').href = page;

// --- the status, or what is wrong with it ---

class Problem extends Error {
    constructor(title, advice, verdict = 'Not connected') {
        super(title);
        Object.assign(this, { advice, verdict });
    }
}

const locationSection = `<Location "${page.pathname}">`;
const problems = {
    unreachable: () => new Problem('The server does not answer',
        'It may be starting again, or this device may be offline. If it lasts: is httpd running? Its error log says why '
        + 'not.'),
    401: () => new Problem('The server asks who you are',
        `Open ${page.pathname} in this browser and log in there.`),
    403: () => new Problem('The status is not for this browser',
        `The server's configuration says who may see it: look at the Require lines in its ${locationSection} section. `
        + '“Require local” lets in the server itself alone.'),
    404: () => new Problem(`There is no status at ${page.pathname}`,
        `Write ${locationSection} SetHandler clickstream-status </Location> into the server's configuration; or, where `
        + 'it has another address, write that into data-status in live.html.'),
    none: () => new Problem('No stream is declared',
        'Write ClickstreamStream into the server\'s configuration, such as: ClickstreamStream clicks firehose '
        + 'region=us-east-1',
        'No stream'),
    other: status => new Problem(`The server answers ${status}`, 'Its error log says why.'),
    foreign: () => new Problem(`What is at ${page.pathname} is not the status`,
        'It should be JSON, from SetHandler clickstream-status. Perhaps a proxy or a login page answers in its place: '
        + `open ${page.pathname} in this browser and see.`),
};

async function load(url, options) {
    try {
        return await fetch(url, { signal: AbortSignal.timeout?.(PATIENCE), ...options });
    } catch {
        throw problems.unreachable();
    }
}

const isStream = stream => typeof stream?.name === 'string' && Array.isArray(stream.trend)
    && Array.isArray(stream.latency?.buckets);
const isStatus = status => Array.isArray(status?.streams) && status.streams.every(isStream)
    && !isNaN(Date.parse(status.generated_at));

async function ask() {
    const response = await load(source, { cache: 'no-store', headers: { Accept: 'application/json' } });
    if (!response.ok)
        throw (problems[response.status] ?? problems.other)(response.status);
    const status = await response.json().catch(error => {
        throw error instanceof SyntaxError ? problems.foreign() : problems.unreachable();
    });
    if (!isStatus(status))
        throw problems.foreign();
    if (!status.streams.length)
        throw problems.none();
    return { status, records: address(response) };
}

// --- what is shown of it ---

const histories = new Map(); // a stream's name -> History
const rates = new Lines('Events a second', [
    { key: 'accepted', name: 'accepted', kind: 'accepted' },
    { key: 'delivered', name: 'delivered', kind: 'delivered' },
    { key: 'refused', name: 'refused', kind: 'refused' },
], decimal);
const latency = new Ranges('Delivery latency');
const waiting = new Lines('Events that wait', [{ key: 'waiting', name: 'waiting', kind: 'waiting' }], count);
find('charts').append(rates.element, latency.element, waiting.element);

function show(element, visible) {
    if (element.hidden === visible)
        element.hidden = !visible;
    return visible;
}

const figures = new Map();

function figure(name, value, more) {
    if (!figures.has(name)) {
        const [big, small] = [html('b'), html('span')];
        figures.set(name, [big, small]);
        find('figures').append(html('div', {}, html('dt', { text: name }), html('dd', {}, big, ' ', small)));
    }
    const [big, small] = figures.get(name);
    say(big, value);
    say(small, more);
}

function showFigures(stream, now) {
    const rate = key => (now ? `${decimal(now[key])}/s` : '–');
    const { p50_seconds: p50, p99_seconds: p99 } = stream.latency;
    figure('Accepted', rate('accepted'), `${count(stream.appended)} in all`);
    figure('Delivered', rate('delivered'), `${count(stream.delivered)} in all`);
    figure('Refused', rate('refused'), `${count(stream.refused_total)} in all`);
    figure('Waiting', count(stream.waiting),
        `${stream.waiting === 1 ? 'event' : 'events'}, ${bytes(stream.waiting_bytes)}`);
    figure('Oldest waits for', stream.waiting ? duration(stream.oldest_seconds) : '–',
        stream.waiting ? '' : 'nothing waits');
    figure('Latency', p50 === null ? '–' : duration(p50),
        p50 === null ? 'none delivered lately' : `p50; p99 ${duration(p99)}`);
}

function showQueue({ used_bytes: used, capacity_bytes: capacity, used_percent: percent }) {
    find('meter').value = capacity ? used * 100 / capacity : 0;
    say(find('meter'), `${percent}%`);
    say(find('capacity'), `${percent}% full: ${bytes(used)} of ${bytes(capacity)}`);
}

function showError(error, now) {
    const box = find('error'), part = name => box.querySelector(name);
    if (!show(box, error !== null))
        return;
    const ago = text => `${duration(Math.max(now - Date.parse(text), 0) / 1000)} ago`;
    box.classList.toggle('now', error.since !== null);
    say(part('.reason'), error.reason);
    show(part('.advice'), error.advice !== '');
    say(part('.advice span'), error.advice);
    const course = error.since ? `It has lasted since ${time(new Date(error.since))}` : 'It is over';
    say(part('.since'), `${ago(error.at)}. ${course}: ${count(error.failures)} failures, `
        + `${count(error.most_waiting)} events waited at most. `
        + 'Nothing is lost, and all is sent again.');
}

function showRefused(refused) {
    const rows = Object.entries(refused).filter(([, number]) => number).sort(([, a], [, b]) => b - a);
    const table = find('refused'), text = String(rows);
    if (!show(table, rows.length > 0) || table.dataset.shown === text)
        return;
    table.dataset.shown = text;
    table.tBodies[0].replaceChildren(...rows.map(([reason, number]) => html('tr', {},
        html('th', { scope: 'row', text: reason }, html('small', { text: reasons[reason] ?? '' })),
        html('td', {}, bar(number / rows[0][1])),
        html('td', { text: count(number) }))));
}

function showState({ name, kind, state, healthy, why }) {
    const { mark = '', about = '' } = states[state] ?? {};
    say(find('name'), name);
    say(find('kind'), kinds[kind] ?? kind);
    find('state').className = `state ${states[state] ? state : ''}`;
    if (find('state').dataset.shown !== state) {
        find('state').dataset.shown = state;
        find('state').replaceChildren(html('span', { 'aria-hidden': 'true', text: mark }), ` ${state}`);
    }
    say(find('about'), about);
    show(find('why'), !healthy);
    say(find('why').querySelector('span'), why ?? '');
}

function showStream(stream, now) {
    const past = histories.get(stream.name);
    show(find('stream'), true);
    showState(stream);
    showError(stream.last_error, now);
    if (!show(find('numbers'), stream.appended !== null))
        return;
    showFigures(stream, past.now());
    showQueue(stream);
    rates.update(past.parts(PART), past.to);
    latency.update(past.parts(LATENCY_PART), past.to);
    waiting.update(past.parts(PART), past.to);
    showRefused(stream.refused);
}

// --- which stream ---

const HASH = '#stream=';
let latest = { status: null };

const chosen = streams => streams.find(({ name }) => HASH + encodeURIComponent(name) === location.hash) ?? streams[0];

function showChoice(streams) {
    const box = find('choice'), current = chosen(streams);
    if (!show(box, streams.length > 1))
        return;
    const names = streams.map(({ name }) => name).join('\n');
    if (box.dataset.shown !== names) {
        box.dataset.shown = names;
        box.querySelectorAll('label').forEach(label => label.remove());
        box.append(...streams.map(({ name }) => html('label', {},
            html('input', { type: 'radio', name: 'stream', value: name }),
            html('span', { class: 'dot', 'aria-hidden': 'true' }), name)));
    }
    for (const [i, label] of box.querySelectorAll('label').entries()) {
        label.querySelector('input').checked = streams[i] === current;
        label.querySelector('.dot').className = `dot ${streams[i].healthy ? streams[i].state : 'bad'}`;
    }
}

find('choice').addEventListener('change', ({ target }) => {
    history.replaceState(null, '', HASH + encodeURIComponent(target.value));
    showAll();
});
addEventListener('hashchange', () => showAll());

// --- the page ---

const verdict = (text, kind) => {
    say(find('verdict'), text);
    find('verdict').className = `verdict ${kind}`;
};

// Said aloud, and only when it is another one.
const announce = text => say(find('news'), text);

function showVerdict(streams) {
    const bad = streams.filter(({ healthy }) => !healthy).length;
    const failing = streams.filter(({ state }) => state === 'retrying');
    const all = streams.length === 1 ? '1 stream' : `${streams.length} streams`;
    if (bad)
        verdict(`! ${bad} of ${all} ${bad === 1 ? 'needs' : 'need'} attention`, 'bad');
    else if (failing.length)
        verdict(`↻ ${failing.map(({ name }) => name).join(', ')}: not delivered yet`, 'retrying');
    else
        verdict(streams.length === 1 ? '✓ The stream is healthy' : '✓ All streams are healthy', 'good');
}

function showAll() {
    const { status } = latest;
    if (!status)
        return;
    const stream = chosen(status.streams);
    showVerdict(status.streams);
    showChoice(status.streams);
    showStream(stream, Date.parse(status.generated_at));
    say(find('version'), `mod_clickstream ${status.version}`);
    announce(`Stream ${stream.name}: ${stream.state}${stream.healthy ? '' : ', not healthy'}.`);
}

function showProblem(problem) {
    document.body.classList.toggle('stale', problem !== null);
    if (!show(find('problem'), problem !== null))
        return;
    say(find('problem-title'), problem.message);
    say(find('problem-advice'), problem.advice);
    verdict(problem.verdict, 'bad');
    announce(`${problem.message}. ${problem.advice}`);
}

function showTime(problem) {
    const { status } = latest;
    const when = status && time(new Date(status.generated_at));
    say(find('asof'), when ? `As of ${when}${problem || isPaused ? '' : ', once a second'}.` : 'Nothing is known yet.');
}

// --- the latest records ---

let table, map;

async function showRecords(url) {
    const response = url && await load(url, { cache: 'no-cache' }).catch(() => null);
    if (response?.ok) {
        table ??= new Table(find('records').querySelector('tbody'));
        map ??= new WorldMap(find('map'), find('places-about'), find('places-list'));
        const records = parse(await response.text().catch(() => ''));
        table.show(records);
        map.show(records);
    }
    show(find('records'), url !== null && table !== undefined);
    show(find('places'), url !== null && map !== undefined);
}

// --- once a second, while somebody looks ---

let isPaused = false, timer = 0, isAsking = false;

async function turn() {
    const began = performance.now();
    let problem = null;
    isAsking = true;
    try {
        latest = await ask();
        const { status, records } = latest;
        for (const stream of status.streams) {
            if (!histories.has(stream.name))
                histories.set(stream.name, new History());
            histories.get(stream.name).add(stream, Date.parse(status.generated_at));
        }
        await showRecords(records);
    } catch (error) {
        if (!(error instanceof Problem))
            throw error;
        problem = error;
    } finally {
        isAsking = false;
        later(PERIOD - (performance.now() - began));
    }
    if (!problem)
        showAll();
    showProblem(problem);
    showTime(problem);
}

function later(ms) {
    clearTimeout(timer);
    if (!isPaused && !document.hidden && !isAsking)
        timer = setTimeout(turn, Math.max(ms, 0));
}

find('pause').addEventListener('click', () => {
    isPaused = !isPaused;
    find('pause').setAttribute('aria-pressed', String(isPaused));
    showTime(null);
    later(0);
});
document.addEventListener('visibilitychange', () => later(0));
addEventListener('online', () => later(0));

later(0);
