// Small charts in SVG. A plane is stretched by the page, so all text stands outside of it, and each has its text
// equivalent in <desc>. What was where the pointer is stands above it.
// SPDX-License-Identifier: Apache-2.0
import { SPAN } from './history.js';
import { duration } from './words.js';

const WIDTH = 600, HEIGHT = 120, MARGIN = 2; // room for a line's own width above and below

export function html(name, { text, ...attributes } = {}, ...children) {
    return build(document.createElement(name), { text, ...attributes }, children);
}

export function svg(name, { text, ...attributes } = {}, ...children) {
    return build(document.createElementNS('http://www.w3.org/2000/svg', name), { text, ...attributes }, children);
}

function build(element, { text, ...attributes }, children) {
    for (const [key, value] of Object.entries(attributes))
        element.setAttribute(key, value);
    if (text !== undefined)
        element.textContent = text;
    element.append(...children);
    return element;
}

/** Sets a text only where it is another one: so what a person has marked stays marked. */
export function say(element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}

const key = ({ kind, name }) => html('span', { class: 'key' },
    svg('svg', { class: 'sample', viewBox: '0 0 24 8', 'aria-hidden': 'true' }, svg('path', { class: kind, d: 'M0 4H24' })),
    name);

let made = 0;

class Chart {
    #most; #desc; #ticks; #start; #hand; #reading; #pointer = null;

    constructor(title, keys = []) {
        const id = `chart-${made++}`;
        this.#most = html('span', { class: 'most' });
        this.#desc = svg('desc', { id: `${id}-desc` });
        this.grid = svg('path', { class: 'grid' });
        this.marks = svg('g');
        this.#hand = svg('path', { class: 'hand' });
        this.#reading = html('p', { class: 'reading', 'aria-hidden': 'true' });
        this.#ticks = html('div', { class: 'ticks', 'aria-hidden': 'true' });
        this.#start = html('span');
        const plane = svg('svg', {
            class: 'plane', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
            'aria-labelledby': `${id}-title ${id}-desc`,
        }, this.#desc, this.grid, this.marks, this.#hand); // a <title> would be a tooltip over the reading
        const caption = html('figcaption', {}, html('span', { id: `${id}-title`, text: title }), this.#most);
        this.element = html('figure', {}, caption, html('div', { class: 'frame' }, plane, this.#ticks, this.#reading),
            html('p', { class: 'axis', 'aria-hidden': 'true' }, this.#start, html('span', { text: 'now' })));
        if (keys.length)
            this.element.append(html('p', { class: 'keys' }, ...keys.map(key)));
        plane.addEventListener('pointermove', event => this.#point(event.offsetX / plane.clientWidth));
        plane.addEventListener('pointerleave', () => this.#point(null));
    }

    #point(share) {
        this.#pointer = share;
        this.#read();
    }

    #read() {
        const at = this.to - SPAN * (1 - this.#pointer);
        const part = this.#pointer === null ? undefined : this.parts.find(({ from, to }) => at >= from && at < to);
        const ago = part && duration(Math.max(this.to - part.to, 0) / 1000);
        say(this.#reading, part ? `${ago} ago: ${this.tell(part)}` : '');
        this.#hand.setAttribute('d', part ? `M${this.x((part.from + part.to) / 2)} 0V${HEIGHT}` : '');
    }

    x(at) {
        return Math.max(WIDTH * (1 - (this.to - at) / SPAN), 0).toFixed(1);
    }

    /** parts: of a History, until `to`; summary and desc: in words; ticks: [[share of the height, text]]. */
    update(parts, to, { summary, desc, ticks }) {
        Object.assign(this, { parts, to });
        say(this.#most, summary);
        say(this.#desc, desc);
        say(this.#start, `${SPAN / 60000} min ago`);
        this.grid.setAttribute('d', ticks.map(([share]) => `M0 ${y(share)}H${WIDTH}`).join(''));
        if (this.#ticks.dataset.shown !== String(ticks)) {
            this.#ticks.dataset.shown = String(ticks);
            this.#ticks.replaceChildren(...ticks.filter(([, text]) => text).map(([share, text]) => {
                const tick = html('span', { text });
                tick.style.bottom = `${share * 100}%`;
                return tick;
            }));
        }
        this.#read();
    }
}

const y = share => (HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)).toFixed(1);

/** 1, 2 or 5 times a power of ten: the end of a scale that is easy to read. */
function round(most) {
    const power = 10 ** Math.floor(Math.log10(most));
    return [1, 2, 5, 10].find(factor => factor * power >= most * 0.999) * power;
}

const label = number => number.toLocaleString('en', { maximumSignificantDigits: 2 });

/** Lines over time; each holds for its part. lines: [{key, name, kind (its class), area}]. */
export class Lines extends Chart {
    #lines; #words;

    constructor(title, lines, words) {
        super(title, lines.length > 1 ? lines : []);
        this.#words = words;
        this.#lines = lines.map(line => ({
            ...line,
            area: this.marks.appendChild(svg('path', { class: `${line.kind} area` })),
        }));
        for (const line of this.#lines)
            line.path = this.marks.appendChild(svg('path', { class: line.kind }));
    }

    tell(part) {
        return this.#lines.map(({ key, name }) => `${this.#words(part[key])} ${name}`).join(', ');
    }

    update(parts, to) {
        const highest = key => parts.reduce((most, part) => Math.max(most, part[key]), 0);
        const most = Math.max(...this.#lines.map(({ key }) => highest(key)));
        const top = round(most || 1);
        super.update(parts, to, {
            summary: `at most ${this.#words(most)}`,
            desc: parts.length ? `The last minutes. ${this.#lines.map(({ key, name }) =>
                `${name}: at most ${this.#words(highest(key))}, at last ${this.#words(parts.at(-1)[key])}`).join('. ')}.` : '',
            ticks: [[0, ''], [0.5, label(top / 2)], [1, label(top)]],
        });
        for (const { key, kind, area, path } of this.#lines) {
            const line = parts.map(part => `${this.x(part.from)} ${y(part[key] / top)}H${this.x(part.to)}`).join('L');
            const hidden = kind === 'refused' && !highest(key);
            path.setAttribute('d', line && !hidden ? `M${line}` : '');
            area.setAttribute('d', line && !hidden ? `M${this.x(parts[0].from)} ${HEIGHT}L${line}V${HEIGHT}Z` : '');
        }
    }
}

/** From p50 to p99, on a scale where each step is several times the one before. */
const STEPS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600, 3600, 21600, 86400];

const LEAST = 5; // wide, of a part that has only begun

export class Ranges extends Chart {
    constructor(title) {
        super(title, [{ kind: 'range', name: 'from p50 to p99, every 10 s' }]);
    }

    tell({ p50, p99 }) {
        return p50 === null ? 'nothing was delivered' : `p50 ${duration(p50)}, p99 ${duration(p99)}`;
    }

    update(parts, to) {
        const known = parts.filter(({ p50 }) => p50 !== null);
        const least = Math.min(0.5, ...known.map(({ p50 }) => p50)), most = Math.max(1, ...known.map(({ p99 }) => p99));
        const first = Math.max(STEPS.findLastIndex(step => step <= least), 0);
        const steps = STEPS.slice(first, STEPS.findIndex(step => step >= most) + 1 || STEPS.length);
        const share = seconds => {
            const i = Math.max(steps.findLastIndex(step => step <= seconds), 0), j = Math.min(i + 1, steps.length - 1);
            const within = j > i ? Math.log(Math.max(seconds, steps[i]) / steps[i]) / Math.log(steps[j] / steps[i]) : 0;
            return (i + Math.min(within, 1)) / (steps.length - 1);
        };
        const worst = Math.max(0, ...known.map(({ p99 }) => p99));
        super.update(parts, to, {
            summary: known.length ? `at most ${duration(worst)}` : 'nothing was delivered',
            desc: known.length ? `The last minutes: at most ${duration(worst)}, at last ${this.tell(known.at(-1))}.`
                : 'Nothing was delivered in the last minutes.',
            ticks: steps.map(step => [share(step), duration(step).replace(/ 0 \w+$/, '')]),
        });
        this.marks.replaceChildren(...known.map(({ from, to: end, p50, p99 }) => {
            const right = +this.x(end), left = Math.min(+this.x(from), right - LEAST), top = Math.min(y(share(p99)), y(share(p50)) - 4);
            return svg('rect', {
                class: 'range', x: left + 1, y: top, width: right - left - 2, height: y(share(p50)) - top,
            });
        }));
    }
}

/** A bar in a row of a table: how much of the most. */
export function bar(share) {
    return svg('svg', { class: 'bar', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
        svg('rect', { width: Math.max(share * 100, 1).toFixed(1), height: 8 }));
}
