// Makes land.js: the outlines of the land, projected and simplified, as one SVG path.
//     npm pack world-atlas@2.0.2 && tar xf world-atlas-2.0.2.tgz
//     node land.make.mjs package/land-110m.json > land.js    (node 22 or later)
// The data are Natural Earth's land at 1:110m, version 4.1.0, in the public domain, which that package has as TopoJSON
// (https://www.naturalearthdata.com/about/terms-of-use/).
// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { project } from './world.js';

const LEAST_TRIANGLE = 2.2; // square units of the picture: what is left out at a corner
const LEAST_ISLAND = 4; // square units

const { arcs, objects, transform: { scale, translate } } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

// TopoJSON: each position is the difference to the one before; ~i is arc i backwards.
const decoded = arcs.map(arc => {
    let x = 0, y = 0;
    return arc.map(([dx, dy]) => [(x += dx) * scale[0] + translate[0], (y += dy) * scale[1] + translate[1]]);
});
const ring = indexes => indexes.flatMap(i => (i < 0 ? [...decoded[~i]].reverse() : decoded[i]).slice(1));

// A ring over the 180th meridian becomes two: one beyond 180 degrees east and one beyond 180 degrees west, each cut off
// there. (Antarctica's goes along the edge of the world by itself.)
function cut(points) {
    let turn = 0;
    const unrolled = points.map(([longitude, latitude], i) => {
        const step = i ? longitude - points[i - 1][0] : 0;
        turn -= Math.abs(step) > 180 && latitude > -85 ? Math.sign(step) * 360 : 0;
        return [longitude + turn, latitude];
    });
    const within = (ring, side) => ring.flatMap(([x, y], i) => {
        const [beforeX, beforeY] = ring.at(i - 1), edge = side * 180;
        const is = x * side <= 180, was = beforeX * side <= 180;
        const crossing = [edge, beforeY + (y - beforeY) * (edge - beforeX) / (x - beforeX)];
        return [...(is === was ? [] : [crossing]), ...(is ? [[x, y]] : [])];
    });
    return [-360, 0, 360].map(shift => within(within(unrolled.map(([x, y]) => [x + shift, y]), 1), -1))
        .filter(ring => ring.length > 2);
}

const area = ([ax, ay], [bx, by], [cx, cy]) => Math.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2;
const size = points => Math.abs(points.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    return sum + x * nextY - nextX * y;
}, 0)) / 2;

// Visvalingam: the corner with the smallest triangle goes first.
function simplify(points) {
    points = [...points];
    while (points.length > 3) {
        const areas = points.map((point, i) => area(points.at(i - 1), point, points[(i + 1) % points.length]));
        const least = Math.min(...areas);
        if (least > LEAST_TRIANGLE)
            break;
        points.splice(areas.indexOf(least), 1);
    }
    return points;
}

// In whole units, all relative: a ring begins from where the one before did.
const number = ([x, y]) => `${x}${y < 0 ? '' : ' '}${y}`;
const minus = ([ax, ay], [bx, by]) => [ax - bx, ay - by];
function draw(points, i, all) {
    const whole = points.map(point => point.map(Math.round));
    const from = i ? all[i - 1][0].map(Math.round) : [0, 0];
    const steps = whole.slice(1).map((point, i) => minus(point, whole[i])).filter(([x, y]) => x || y);
    return `m${[minus(whole[0], from), ...steps].map(number).join(' ').replaceAll(' -', '-')}z`;
}

const polygons = objects.land.geometries.flatMap(({ type, arcs }) => (type === 'Polygon' ? [arcs] : arcs));
const rings = polygons.flat().flatMap(indexes => cut(ring(indexes)))
    .map(points => points.map(place => project(...place)))
    .filter(points => size(points) > LEAST_ISLAND)
    .map(simplify)
    .filter(points => points.length > 2);
const text = rings.map(draw).join('').replace(/.{1,108}(?=[mz -]|$)/g, "    + '$&'\n").replace(/^ {4}\+ /, '    ');

console.log(`// The land of the world. Made by land.make.mjs from Natural Earth's land at 1:110m, which is in the public domain.
// SPDX-License-Identifier: Apache-2.0

/** The land, in the picture of world.js, as an SVG path. */
export const land =
${text.trimEnd()};`);
