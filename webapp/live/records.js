// The latest delivered records, as a table, and where they come from, on a map. Whoever serves them says where they
// are, in the status's answer, as newline-delimited JSON:
//     Link: </latest.ndjson>; rel=related; type="application/x-ndjson"
// SPDX-License-Identifier: Apache-2.0
import { html, say, svg } from './charts.js';
import { land } from './land.js';
import { place, time } from './words.js';
import { graticule, HEIGHT, outline, project, WIDTH } from './world.js';

const ROWS = 12, PLACES = 6, LONGEST = 160;
const OURS = ['token', 'timestamp', 'tag', 'value', 'latitude', 'longitude', 'client_id', 'client_ip', 'user_agent'];

/** The address of the records that a response tells of, or null. */
export function address({ headers, url }) {
    const links = (headers.get('Link') ?? '').split(/,(?=\s*<)/);
    const link = links.find(text => /type="?application\/x-ndjson/i.test(text));
    const [, target] = link?.match(/<([^>]*)>/) ?? [];
    const found = target && new URL(target, url);
    return found && found.origin === location.origin ? found : null;
}

/** The lines of a response's text, the newest first; what is no object is left out. */
export function parse(text) {
    return text.split('\n').filter(Boolean).reverse().flatMap(line => {
        try {
            const record = JSON.parse(line);
            return record && typeof record === 'object' ? [{ line, record }] : [];
        } catch {
            return [];
        }
    });
}

const brief = (value = '') => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
};

function where({ latitude, longitude }) {
    const within = (number, most) => typeof number === 'number' && Math.abs(number) <= most;
    return within(latitude, 90) && within(longitude, 180) ? [longitude, latitude] : null;
}

// The value, or the place; then whatever else the app has put into the event.
function value(record) {
    const others = Object.entries(record).filter(([name]) => !OURS.includes(name));
    const rest = others.map(([name, it]) => `${name}: ${brief(it)}`);
    const at = where(record);
    const first = record.value === undefined && at ? place(...at) : brief(record.value);
    return [first, ...rest].filter(Boolean).join(' · ');
}

function row({ line, record }, isNew) {
    const when = new Date(record.timestamp);
    return html('tr', { class: isNew ? 'new' : '', title: line },
        html('td', { text: isNaN(when) ? brief(record.timestamp) : time(when) }),
        html('th', { scope: 'row', text: brief(record.tag) }),
        html('td', { text: value(record) }),
        html('td', { text: brief(record.token) }));
}

export class Table {
    #body; #known = null;

    constructor(body) {
        this.#body = body;
    }

    show(records) {
        const shown = records.slice(0, ROWS), isNew = ({ line }) => this.#known !== null && !this.#known.has(line);
        if (this.#known && !shown.some(isNew) && this.#body.rows.length === shown.length)
            return;
        this.#body.replaceChildren(...shown.map(record => row(record, isNew(record))));
        this.#known = new Set(records.map(({ line }) => line));
    }
}

// In the order of their coming, the newest first: those that fall together on the map are one.
function pointsOf(records) {
    const points = new Map();
    for (const { record } of records) {
        const at = record.tag === 'GEO_LOC' && where(record);
        if (!at)
            continue;
        const [x, y] = project(...at), key = `${Math.round(x / 4)} ${Math.round(y / 4)}`;
        const point = points.get(key) ?? { x, y, at, when: new Date(record.timestamp), number: 0 };
        point.number++;
        points.set(key, point);
    }
    return [...points.values()];
}

/** Places, the newest on top and the brightest; where several fall together it is larger. */
export class WorldMap {
    #points = svg('g'); #about; #list; #shown;

    constructor(frame, about, list) {
        this.#about = about;
        this.#list = list;
        frame.append(svg('svg', {
            class: 'world', viewBox: `-4 -4 ${WIDTH + 8} ${HEIGHT + 8}`, role: 'img',
            'aria-label': 'The world, with the places listed below',
        }, svg('path', { class: 'sea', d: outline }), svg('path', { class: 'graticule', d: graticule }),
        svg('path', { class: 'land', d: land }), svg('path', { class: 'edge', d: outline }), this.#points));
    }

    show(records) {
        const points = pointsOf(records), shown = JSON.stringify(points);
        if (this.#shown === shown)
            return;
        this.#shown = shown;
        const all = points.reduce((sum, { number }) => sum + number, 0);
        const places = points.length === 1 ? '1 place' : `${points.length} places`;
        say(this.#about, all ? `The latest GEO_LOC events: ${all} from ${places}`
            : 'No GEO_LOC event yet: share your location in Touchwood');
        this.#list.replaceChildren(...points.slice(0, PLACES).map(({ at, number, when }) => html('li', {},
            html('span', { text: place(...at) }), number > 1 ? ` ${number}× ` : ' ',
            html('span', { class: 'quiet', text: isNaN(when) ? '' : time(when) }))));
        this.#points.replaceChildren(...points.map(({ x, y, number }, age) => {
            const point = svg('circle', {
                class: age ? 'point' : 'point newest', cx: x.toFixed(1), cy: y.toFixed(1),
                r: Math.min(7 + 3 * Math.sqrt(number), 22),
            });
            point.style.opacity = Math.max(1 - age * 0.04, 0.4);
            return point;
        }).reverse());
    }
}
