// The woods: what they are called, and how each is drawn. A drawing is one SVG text: a ground, noise stretched along the
// grain (feTurbulence), growth rings (contour lines of a field, see ring()), and what makes a wood itself: knots, rays,
// bird's eyes, nodes. Points are (u, v): u runs along the grain, which follows the longer side of the screen; v across.
// Each wood is a table of layers, drawn in their order; numbers are CSS pixels of a phone.
// SPDX-License-Identifier: Apache-2.0

// ink: 'dark' or 'light', what can be read on it by day. tone: its plain colour, shown until it is drawn.
export const woods = [
    {
        id: 'oak', latin: 'Quercus robur', name: { en: 'Oak', hk: '橡木' }, ink: 'dark', tone: '#c79a63',
        layers: [
            ['ground', '#cda26c', '#bf8f58', '#d3ab78'],
            ['noise', { color: '#7a4a1e', along: 0.0018, across: 0.016, octaves: 3, gain: 1.3, from: 0.5 }],
            ['rings', { color: '#70421a', spacing: 19, at: 0.46, depth: 16, slope: 0.2, warp: 17,
                strokes: [[0, 2, 0.62], [-0.1, 4, 0.42], [-0.22, 5, 0.3], [-0.36, 6, 0.16]], dashes: '7 3 13 4 4 3' }],
            ['noise', { color: '#5b3412', along: 0.022, across: 0.62, octaves: 2, gain: 3.4, from: 0.61 }],
            ['noise', { color: '#fff0d0', along: 0.006, across: 0.5, octaves: 2, gain: 1.4, from: 0.55 }],
            ['rays', { color: '#f6dcae', count: 70, length: 40 }],
        ],
    },
    {
        id: 'walnut', latin: 'Juglans regia', name: { en: 'Walnut', hk: '胡桃木' }, ink: 'light', tone: '#5a3c29',
        layers: [
            ['ground', '#6a4830', '#523524', '#5f402b', '#4b3021'],
            ['noise', { color: '#1f110a', along: 0.0022, across: 0.013, octaves: 3, gain: 2.6, from: 0.46 }],
            ['rings', { color: '#22130b', spacing: 25, at: 0.62, depth: 60, slope: 0.12, warp: 46,
                strokes: [[0, 1.4, 0.5], [-0.14, 5, 0.26], [-0.34, 9, 0.16]] }],
            ['noise', { color: '#9d7350', along: 0.003, across: 0.05, octaves: 3, gain: 1.5, from: 0.52 }],
            ['noise', { color: '#160b05', along: 0.03, across: 0.55, octaves: 2, gain: 5, from: 0.62 }],
            ['noise', { color: '#c39a72', along: 0.007, across: 0.7, octaves: 2, gain: 1.2, from: 0.55 }],
        ],
    },
    {
        id: 'cherry', latin: 'Prunus serotina', name: { en: 'Cherry', hk: '櫻桃木' }, ink: 'light', tone: '#96502f',
        layers: [
            ['ground', '#9f5833', '#8f4a2b', '#a25a36', '#8b482a'],
            ['noise', { color: '#5a2412', along: 0.002, across: 0.011, octaves: 2, gain: 1.5, from: 0.48 }],
            ['noise', { color: '#d58a58', along: 0.011, across: 0.005, octaves: 2, gain: 1.5, from: 0.52 }],
            ['rings', { color: '#57210f', spacing: 21, at: 0.3, depth: 90, slope: 0.2, warp: 12,
                strokes: [[0, 0.9, 0.4], [-0.1, 4, 0.24], [-0.24, 6, 0.16], [-0.4, 7, 0.1]] }],
            ['noise', { color: '#f2b98c', along: 0.012, across: 0.9, octaves: 2, gain: 1.2, from: 0.55 }],
            ['flecks', { color: '#34110a', count: 34, length: 11, width: 1.5 }],
        ],
    },
    {
        id: 'maple', latin: 'Acer saccharum', name: { en: 'Maple', hk: '楓木' }, ink: 'dark', tone: '#e3c79c',
        layers: [
            ['ground', '#ead2aa', '#e0c294', '#e8cea4', '#dfc093'],
            ['noise', { color: '#a8743c', along: 0.0016, across: 0.01, octaves: 2, gain: 0.9, from: 0.5 }],
            ['noise', { color: '#b58248', along: 0.03, across: 0.006, octaves: 2, gain: 1.5, from: 0.53 }],
            ['noise', { color: '#fff8e2', along: 0.026, across: 0.005, octaves: 2, gain: 2.2, from: 0.5 }],
            ['rings', { color: '#a2693a', spacing: 34, at: 0.42, depth: 30, slope: 0.22, warp: 20,
                strokes: [[0, 0.9, 0.4], [-0.07, 4, 0.22], [-0.16, 6, 0.14]] }],
            ['eyes', { color: '#86552a', count: 64 }],
            ['noise', { color: '#8a5a2c', along: 0.016, across: 0.8, octaves: 2, gain: 1, from: 0.55 }],
        ],
    },
    {
        id: 'ash', latin: 'Fraxinus excelsior', name: { en: 'Ash', hk: '白蠟木' }, ink: 'dark', tone: '#d9c6a6',
        layers: [
            ['ground', '#dfcfb2', '#d3bf9c', '#e2d3b7'],
            ['noise', { color: '#8c7048', along: 0.0018, across: 0.012, octaves: 2, gain: 1, from: 0.5 }],
            ['rings', { color: '#80603a', spacing: 27, at: 0.54, depth: 14, slope: 0.2, warp: 22,
                strokes: [[0, 2, 0.55], [-0.09, 4, 0.32], [-0.22, 6, 0.2], [-0.38, 6, 0.09]] }],
            ['noise', { color: '#5f4526', along: 0.02, across: 0.5, octaves: 2, gain: 4, from: 0.61 }],
            ['noise', { color: '#fffaf0', along: 0.005, across: 0.6, octaves: 2, gain: 1.5, from: 0.52 }],
        ],
    },
    {
        id: 'pine', latin: 'Pinus sylvestris', name: { en: 'Pine', hk: '松木' }, ink: 'dark', tone: '#e2b672',
        layers: [
            ['ground', '#eac687', '#dfb16c', '#e9c283', '#deaf6a'],
            ['noise', { color: '#c07a2c', along: 0.0015, across: 0.01, octaves: 2, gain: 1.1, from: 0.5 }],
            ['rings', { color: '#ad6422', spacing: 12, at: 0.5, depth: 40, slope: 0.13, warp: 15,
                knots: [[0.235, 0.7, 17], [0.6, 0.2, 9], [0.88, 0.64, 13]],
                strokes: [[0, 1.6, 0.7], [-0.14, 3, 0.4], [-0.3, 4, 0.24]] }],
            ['noise', { color: '#fff0c4', along: 0.006, across: 0.6, octaves: 2, gain: 1.5, from: 0.53 }],
        ],
    },
    {
        id: 'teak', latin: 'Tectona grandis', name: { en: 'Teak', hk: '柚木' }, ink: 'dark', tone: '#b98348',
        layers: [
            ['ground', '#c08a4d', '#b07a40', '#c6925a', '#b58046'],
            ['noise', { color: '#5b3110', along: 0.001, across: 0.045, octaves: 3, gain: 2.6, from: 0.54 }],
            ['rings', { color: '#54300f', spacing: 30, at: -0.6, depth: 0, slope: 0.0, warp: 16,
                strokes: [[0, 2.2, 0.4], [-0.07, 5, 0.18], [0.31, 1, 0.3], [0.52, 1.2, 0.2]] }],
            ['noise', { color: '#341a06', along: 0.014, across: 0.45, octaves: 2, gain: 5, from: 0.62 }],
            ['noise', { color: '#f4cf95', along: 0.004, across: 0.55, octaves: 2, gain: 1.6, from: 0.53 }],
        ],
    },
    {
        id: 'rosewood', latin: 'Dalbergia', name: { en: 'Rosewood', hk: '酸枝' }, ink: 'light', tone: '#5a2320',
        layers: [
            ['ground', '#6b2b25', '#4e1c1c', '#63272a', '#481a1a'],
            ['noise', { color: '#a54a35', along: 0.002, across: 0.024, octaves: 3, gain: 2, from: 0.5 }],
            ['noise', { color: '#150507', along: 0.0013, across: 0.028, octaves: 3, gain: 6, from: 0.55 }],
            ['rings', { color: '#110406', spacing: 23, at: 0.2, depth: 120, slope: 0.1, warp: 40, uneven: 0.8,
                strokes: [[0, 2.2, 0.7], [-0.12, 4, 0.34], [0.36, 1, 0.5], [0.5, 0.8, 0.4]] }],
            ['noise', { color: '#0d0304', along: 0.02, across: 0.5, octaves: 2, gain: 4, from: 0.62 }],
            ['noise', { color: '#e28a70', along: 0.006, across: 0.7, octaves: 2, gain: 1.1, from: 0.55 }],
        ],
    },
    {
        id: 'ebony', latin: 'Diospyros', name: { en: 'Ebony', hk: '烏木' }, ink: 'light', tone: '#1f1917',
        layers: [
            ['ground', '#241d1a', '#171210', '#211a17', '#151110'],
            ['noise', { color: '#6a4a36', along: 0.0009, across: 0.026, octaves: 3, gain: 2.6, from: 0.55 }],
            ['rings', { color: '#000000', spacing: 16, at: -0.4, depth: 0, slope: 0, warp: 15, uneven: 0.6,
                strokes: [[0, 2.6, 0.6], [0.4, 1, 0.5]] }],
            ['noise', { color: '#000000', along: 0.016, across: 0.6, octaves: 2, gain: 5, from: 0.6 }],
            ['noise', { color: '#b8a79b', along: 0.004, across: 0.6, octaves: 2, gain: 1.1, from: 0.56 }],
        ],
    },
    {
        id: 'olive', latin: 'Olea europaea', name: { en: 'Olive', hk: '橄欖木' }, ink: 'dark', tone: '#cda866',
        layers: [
            ['ground', '#d9b877', '#c79d58', '#dcbd80', '#c49a57'],
            ['noise', { color: '#6d4519', along: 0.006, across: 0.016, octaves: 3, gain: 2, from: 0.5 }],
            ['rings', { color: '#4f2f10', spacing: 14, at: 0.34, depth: 50, slope: 0.13, warp: 90, uneven: 0.9, soft: 2.5,
                knots: [[0.72, 0.78, 0]],
                strokes: [[0, 1.7, 0.62], [-0.12, 4, 0.24], [0.3, 0.8, 0.4], [0.48, 0.8, 0.22]] }],
            ['noise', { color: '#3c220a', along: 0.004, across: 0.03, octaves: 3, gain: 4, from: 0.6 }],
            ['noise', { color: '#fff0c8', along: 0.014, across: 0.4, octaves: 2, gain: 1.2, from: 0.54 }],
        ],
    },
    {
        id: 'bamboo', latin: 'Phyllostachys edulis', name: { en: 'Bamboo', hk: '竹' }, ink: 'dark', tone: '#d6c184',
        layers: [
            ['ground', '#dbc88d', '#d3bd7d', '#dcca90'],
            ['strips', { colors: ['#e2d19a', '#cdb673', '#dac78a', '#d2bb78', '#e0cd94'], width: 43,
                line: '#77602a', node: '#6b5422' }],
            ['noise', { color: '#7c6526', along: 0.003, across: 0.42, octaves: 2, gain: 2.6, from: 0.54 }],
            ['noise', { color: '#fff7d4', along: 0.002, across: 0.3, octaves: 2, gain: 1.7, from: 0.52 }],
        ],
    },
    {
        id: 'camphor', latin: 'Cinnamomum camphora', name: { en: 'Camphor', hk: '樟木' }, ink: 'dark', tone: '#c9946a',
        layers: [
            ['ground', '#d3a07a', '#c28a60', '#d4a47f', '#bf875e'],
            ['noise', { color: '#853f22', along: 0.0013, across: 0.03, octaves: 2, gain: 2, from: 0.52 }],
            ['ribbons', { color: '#fbd9b4', shade: '#7a3a1e', width: 40 }],
            ['rings', { color: '#6e2f18', spacing: 30, at: 1.5, depth: 0, slope: 0.03, warp: 30, uneven: 0.7,
                strokes: [[0, 1.6, 0.42], [-0.08, 4.5, 0.16], [0.4, 0.8, 0.26]] }],
            ['noise', { color: '#54220f', along: 0.035, across: 0.4, octaves: 2, gain: 4.5, from: 0.63 }],
            ['noise', { color: '#ffe6c8', along: 0.05, across: 0.5, octaves: 2, gain: 1.3, from: 0.54 }],
        ],
    },
];

// The same numbers each time, so that a wood always looks the same (mulberry32, public domain).
function random(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
}

// Smooth noise from -1 to 1: random values at whole points, blended between them.
function smooth(seed) {
    const chance = random(seed);
    const values = Array.from({ length: 4096 }, () => chance() * 2 - 1);
    const at = (x, y) => values[(x & 63) | ((y & 63) << 6)];
    const ease = t => t * t * (3 - 2 * t);
    return (x, y) => {
        const left = Math.floor(x), top = Math.floor(y), s = ease(x - left), t = ease(y - top);
        const upper = at(left, top) + s * (at(left + 1, top) - at(left, top));
        const lower = at(left, top + 1) + s * (at(left + 1, top + 1) - at(left, top + 1));
        return upper + t * (lower - upper);
    };
}

const round = number => Math.round(number * 10) / 10;

// A piece of wood of one size: turns (u, v) into x and y, and collects filters and shapes.
class Board {
    constructor(wood, width, height, seed) {
        this.upright = height >= width;
        this.length = this.upright ? height : width;
        this.breadth = this.upright ? width : height;
        this.seed = seed;
        this.wood = wood;
        this.chance = random(seed);
        this.defs = [];
        this.shapes = [];
    }

    point(u, v) {
        return this.upright ? `${round(v)} ${round(u)}` : `${round(u)} ${round(v)}`;
    }

    pair(along, across) {
        return this.upright ? `${across} ${along}` : `${along} ${across}`;
    }

    between(low, high) {
        return low + this.chance() * (high - low);
    }

    define(make) {
        const id = `d${this.defs.length}`;
        this.defs.push(make(id));
        return id;
    }

    cover(attributes) {
        this.shapes.push(`<rect width="100%" height="100%" ${attributes}/>`);
    }

    // A smooth line through points [u, v].
    line(points) {
        if (points.length < 3)
            return `M${points.map(p => this.point(...p)).join('L')}`;
        const parts = [`M${this.point(...points[0])}`];
        for (let i = 1; i < points.length - 1; i++) {
            const [u, v] = points[i], [nextU, nextV] = points[i + 1];
            parts.push(`Q${this.point(u, v)} ${this.point((u + nextU) / 2, (v + nextV) / 2)}`);
        }
        parts.push(`L${this.point(...points[points.length - 1])}`);
        return parts.join('');
    }

    ellipse(u, v, ru, rv, attributes) {
        const [cx, cy] = this.point(u, v).split(' ');
        const [rx, ry] = this.pair(round(ru), round(rv)).split(' ');
        this.shapes.push(`<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" ${attributes}/>`);
    }
}

// Contour lines of a field over the board: for each level the lines [[u, v], …] where the field has it (marching squares).
function contours(field, length, breadth, step, levelsOf) {
    const columns = Math.ceil(length / step) + 2, rows = Math.ceil(breadth / step) + 2;
    const height = new Float64Array(columns * rows);
    for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++)
            height[row * columns + column] = field((column - 0.5) * step, (row - 0.5) * step);

    const links = new Map(); // level -> edge -> the edges that its line goes on to, and where on it the line is
    const edgeOf = (from, to) => Math.min(from, to) * 2 + (Math.abs(from - to) === 1 ? 0 : 1);
    for (let row = 0; row < rows - 1; row++) {
        for (let column = 0; column < columns - 1; column++) {
            const a = row * columns + column, corners = [a, a + 1, a + columns + 1, a + columns];
            const values = corners.map(corner => height[corner]);
            for (const level of levelsOf(Math.min(...values), Math.max(...values))) {
                const crossed = [];
                for (let side = 0; side < 4; side++) {
                    const from = corners[side], to = corners[(side + 1) % 4];
                    const low = height[from] - level, high = height[to] - level;
                    if (low < 0 === high < 0)
                        continue;
                    const t = low / (low - high);
                    const mix = pick => (pick(from) * (1 - t) + pick(to) * t - 0.5) * step;
                    crossed.push([edgeOf(from, to), [mix(c => c % columns), mix(c => Math.floor(c / columns))]]);
                }
                if (!links.has(level))
                    links.set(level, new Map());
                const edges = links.get(level);
                for (let i = 0; i + 1 < crossed.length; i += 2) {
                    for (const [here, there] of [[i, i + 1], [i + 1, i]]) {
                        const [edge, point] = crossed[here];
                        if (!edges.has(edge))
                            edges.set(edge, { point, next: [] });
                        edges.get(edge).next.push(crossed[there][0]);
                    }
                }
            }
        }
    }

    const lines = new Map();
    for (const [level, edges] of links) {
        const found = [], seen = new Set();
        const walk = start => {
            const points = [];
            for (let edge = start; edge !== undefined;) {
                seen.add(edge);
                points.push(edges.get(edge).point);
                edge = edges.get(edge).next.find(other => !seen.has(other));
            }
            found.push(points);
        };
        for (const [edge, { next }] of edges) // the lines with ends first: what is left are closed ones
            if (next.length === 1 && !seen.has(edge))
                walk(edge);
        for (const edge of edges.keys())
            if (!seen.has(edge))
                walk(edge);
        lines.set(level, found);
    }
    return lines;
}

// How each kind of layer is drawn.
const layers = {
    // The plain colour, changing across the board.
    ground(board, ...colors) {
        const end = board.upright ? 'x2="1" y2="0"' : 'x2="0" y2="1"';
        const stops = colors.map((color, i) => `<stop offset="${round(i / (colors.length - 1))}" stop-color="${color}"/>`);
        const id = board.define(id => `<linearGradient id="${id}" ${end}>${stops.join('')}</linearGradient>`);
        board.cover(`fill="url(#${id})"`);
    },

    // Noise in one colour, opaque where it is above `from`: stretched along the grain, fibres, pores or clouds.
    noise(board, { color, along, across, octaves, gain, from }) {
        const [red, green, blue] = [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16) / 255);
        const id = board.define(id => `<filter id="${id}" x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB">`
            + `<feTurbulence type="fractalNoise" baseFrequency="${board.pair(along, across)}" numOctaves="${octaves}"`
            + ` seed="${board.seed + board.defs.length}"/><feColorMatrix values="0 0 0 0 ${red.toFixed(3)} 0 0 0 0`
            + ` ${green.toFixed(3)} 0 0 0 0 ${blue.toFixed(3)} 0 0 0 ${gain} ${(-gain * from).toFixed(3)}"/></filter>`);
        board.cover(`filter="url(#${id})"`);
    },

    // Growth rings. The log is a cone around (at, depth): a board sawn beside its heart shows long arches, one far from
    // it straight lines. Each ring is some strokes [where in the ring, width, opacity], and `warp` is how crooked it grew.
    rings(board, { color, spacing, at, depth, slope, warp, strokes, knots = [], uneven = 0, soft: blur = 9,
        dashes }) {
        const { length, breadth } = board, noise = smooth(board.seed);
        const places = knots.map(([u, v, size]) => ({ u: u * length, v: v * breadth, size }));
        const field = (u, v) => {
            const bent = v + warp * (noise(u / 260, v / 130) + 0.35 * noise(u / 90 + 9, v / 60 + 5));
            let ring = Math.hypot(bent - at * breadth, depth + slope * (length * 0.92 - u)) / spacing;
            for (const knot of places) {
                const reach = knot.size || 20;
                ring += (knot.size ? 3.4 : 5) * Math.exp(-((u - knot.u) ** 2) / (reach * 3.6) ** 2 - ((v - knot.v) ** 2) / (reach * 1.9) ** 2);
            }
            return ring;
        };
        const wobble = random(board.seed + 77), shift = Array.from({ length: 400 }, () => (wobble() - 0.5) * uneven);
        const levelOf = (ring, offset) => ring + offset + shift[ring % 400];
        const levelsOf = (low, high) => {
            const within = [];
            for (let ring = Math.max(0, Math.floor(low) - 2); ring <= high + 2; ring++)
                for (const [offset] of strokes) {
                    const level = levelOf(ring, offset);
                    if (level > low && level <= high)
                        within.push(level);
                }
            return within;
        };
        const lines = contours(field, length, breadth, Math.max(5, length / 150), levelsOf);
        const ragged = board.define(id => `<filter id="${id}" x="0" y="0" width="1" height="1">`
            + `<feTurbulence type="fractalNoise" baseFrequency="${board.pair(0.012, 0.25)}" numOctaves="2" seed="${board.seed}"/>`
            + '<feDisplacementMap in="SourceGraphic" scale="4" xChannelSelector="R" yChannelSelector="G"/></filter>');
        const soft = board.define(id => `<filter id="${id}" x="0" y="0" width="1" height="1">`
            + `<feGaussianBlur stdDeviation="${board.pair(blur, 0.7)}"/></filter>`);
        const paths = strokes.map(([offset, width, opacity], i) => {
            const groups = [[], [], []]; // some rings are stronger than others
            for (let ring = 0; ring < 400; ring++)
                for (const points of lines.get(levelOf(ring, offset)) ?? [])
                    groups[Math.floor(Math.abs(Math.sin(ring * 7.3)) * 3) % 3].push(board.line(points));
            return groups.map((group, strength) => group.length && `<path d="${group.join('')}" stroke-width="${width}"`
                + ` opacity="${(opacity * (0.7 + strength * 0.25)).toFixed(2)}"`
                + `${dashes && i === 0 ? ` stroke-dasharray="${dashes}"` : ''}/>`).filter(Boolean).join('');
        });
        // The shade before a ring's edge is soft along the grain, the edge itself a little ragged.
        for (const [filter, drawn] of [[soft, paths.slice(1)], [ragged, paths.slice(0, 1)]])
            board.shapes.push(`<g fill="none" stroke="${color}" stroke-linecap="round" filter="url(#${filter})">`
                + `<rect width="100%" height="100%" fill="none" stroke="none"/>${drawn.join('')}</g>`);
        for (const knot of places.filter(({ size }) => size))
            layers.knot(board, knot, color);
    },

    // Where a branch was.
    knot(board, { u, v, size }, color) {
        const id = board.define(id => `<radialGradient id="${id}"><stop stop-color="#3a1c0a"/><stop offset=".25"`
            + ' stop-color="#6b3813"/><stop offset=".62" stop-color="#9a5a22"/><stop offset=".8" stop-color="#5d2f10"/>'
            + '<stop offset=".9" stop-color="#8a4d1c" stop-opacity=".55"/><stop offset="1" stop-color="#b8772f" stop-opacity="0"/></radialGradient>');
        board.ellipse(u, v, size * 1.75, size * 1.2, `fill="url(#${id})"`);
        for (let ring = 0.2; ring < 1; ring += 0.17)
            board.ellipse(u + board.between(-1, 1), v + board.between(-1, 1), size * 1.35 * ring, size * 0.92 * ring,
                `fill="none" stroke="${color}" stroke-opacity=".6" stroke-width=".9"`);
        for (let crack = 0; crack < 3; crack++) {
            const angle = board.between(0, 6.3), reach = size * board.between(0.4, 0.9);
            board.shapes.push(`<path d="${board.line([[u, v], [u + Math.cos(angle) * reach * 1.3, v + Math.sin(angle) * reach]])}"`
                + ' stroke="#1d0d04" stroke-opacity=".7" stroke-width="1"/>');
        }
    },

    // The silver flecks of oak: rays cut along their length.
    rays(board, { color, count, length }) {
        const paths = [];
        for (let i = 0; i < count; i++) {
            const u = board.between(0, board.length), v = board.between(-0.1, 1.1) * board.breadth;
            const reach = length * board.between(0.3, 1), lean = board.between(-7, 7), fat = board.between(2, 7);
            paths.push(`M${board.point(u, v)}Q${board.point(u + lean + fat, v + reach / 2)} ${board.point(u + lean * 2, v + reach)}`
                + `Q${board.point(u + lean - fat, v + reach / 2)} ${board.point(u, v)}Z`);
        }
        board.shapes.push(`<path d="${paths.join('')}" fill="${color}" opacity=".3"/>`);
    },

    // Short dark marks along the grain.
    flecks(board, { color, count, length, width }) {
        const paths = [];
        for (let i = 0; i < count; i++) {
            const u = board.between(0, board.length), v = board.between(0, board.breadth), reach = length * board.between(0.3, 1);
            paths.push(board.line([[u, v], [u + reach / 2, v + board.between(-1, 1)], [u + reach, v]]));
        }
        board.shapes.push(`<path d="${paths.join('')}" fill="none" stroke="${color}" stroke-width="${width}"`
            + ' stroke-linecap="round" opacity=".55"/>');
    },

    // Bird's eyes: buds that never came out.
    eyes(board, { color, count }) {
        for (let i = 0; i < count; i++) {
            const u = board.between(0, board.length), v = board.between(0, board.breadth), size = board.between(1.6, 4.2);
            board.ellipse(u, v, size * 3, size * 1.9, 'fill="#fff6dc" opacity=".22"');
            board.ellipse(u, v, size * 1.5, size, `fill="none" stroke="${color}" stroke-width=".9" opacity=".42"`);
            board.ellipse(u, v, size * 0.8, size * 0.5, `fill="${color}" opacity=".5"`);
        }
    },

    // Bamboo: split canes side by side, each with its nodes.
    strips(board, { colors, width, line, node }) {
        const count = Math.ceil(board.breadth / width), each = board.breadth / count;
        const shine = board.define(id => `<linearGradient id="${id}" ${board.upright ? 'x2="1" y2="0"' : 'x2="0" y2="1"'}>`
            + '<stop stop-color="#4d3b10" stop-opacity=".42"/><stop offset=".12" stop-color="#4d3b10" stop-opacity="0"/>'
            + '<stop offset=".42" stop-color="#fff9dc" stop-opacity=".42"/><stop offset=".85" stop-color="#4d3b10" stop-opacity="0"/>'
            + '<stop offset="1" stop-color="#4d3b10" stop-opacity=".38"/></linearGradient>');
        const box = (u, v, length, breadth, attributes) => {
            const [x, y] = board.point(u, v).split(' '), [w, h] = board.pair(round(length), round(breadth)).split(' ');
            board.shapes.push(`<rect x="${x}" y="${y}" width="${w}" height="${h}" ${attributes}/>`);
        };
        for (let strip = 0; strip < count; strip++) {
            const v = strip * each, color = colors[(strip * 2 + Math.floor(board.between(0, 2))) % colors.length];
            box(0, v, board.length, each + 0.5, `fill="${color}"`);
            for (let u = board.between(-150, 60); u < board.length; u += board.between(190, 270)) {
                const arch = bend => board.line([[u + bend, v], [u + bend + 3, v + each / 2], [u + bend, v + each]]);
                board.shapes.push(`<path d="${arch(-13)}" stroke="#fff6d0" stroke-width="10" opacity=".3" fill="none"/>`
                    + `<path d="${arch(0)}" stroke="${node}" stroke-width="9" opacity=".28" fill="none"/>`
                    + `<path d="${arch(0)}" stroke="${node}" stroke-width="2" opacity=".75" fill="none"/>`
                    + `<path d="${arch(5)}" stroke="#fff3c4" stroke-width="3" opacity=".6" fill="none"/>`
                    + `<path d="${arch(9)}" stroke="${node}" stroke-width="1.2" opacity=".45" fill="none"/>`);
            }
            box(0, v, board.length, each, `fill="url(#${shine})"`);
            board.shapes.push(`<path d="${board.line([[0, v], [board.length, v]])}" stroke="${line}" opacity=".75"/>`);
        }
    },

    // Ribbons: the grain leans one way, then the other, and takes the light in turns.
    ribbons(board, { color, shade, width }) {
        const noise = smooth(board.seed + 5), blur = board.define(id => `<filter id="${id}" x="-.2" y="-.2" width="1.4"`
            + ' height="1.4"><feGaussianBlur stdDeviation="6"/></filter>');
        const bands = [];
        for (let v = -width; v < board.breadth + width; v += width * board.between(0.8, 1.4)) {
            const points = [];
            for (let u = -20; u <= board.length + 40; u += 40)
                points.push([u, v + 22 * noise(u / 170, v / 70)]);
            bands.push(`<path d="${board.line(points)}" stroke="${bands.length % 2 ? shade : color}"`
                + ` stroke-width="${round(width * board.between(0.45, 0.75))}"/>`);
        }
        board.shapes.push(`<g fill="none" opacity=".36" filter="url(#${blur})">${bands.join('')}</g>`);
    },
};

/** The drawing of a wood for a screen of width by height CSS pixels, as the text of an SVG picture. */
export function draw(index, width, height) {
    // What a large screen shows is not more wood, but nearer.
    const scale = Math.min(Math.max(Math.min(width, height) / 400, 1), 2.4);
    const across = Math.round(width / scale), down = Math.round(height / scale);
    const board = new Board(woods[index], across, down, index * 101 + 17);
    for (const [layer, ...settings] of woods[index].layers)
        layers[layer](board, ...settings);
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${across} ${down}"`
        + ` preserveAspectRatio="none"><defs>${board.defs.join('')}</defs>${board.shapes.join('')}</svg>`;
}
