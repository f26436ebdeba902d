// The world as a picture: the Equal Earth projection (Šavrič, Patterson, Jenny: The Equal Earth map projection,
// 2018), 1000 wide, north up, Greenwich in the middle; its outline and graticule.
// SPDX-License-Identifier: Apache-2.0

export const WIDTH = 1000;

const A1 = 1.340264, A2 = -0.081106, A3 = 0.000893, A4 = 0.003796, M = Math.sqrt(3) / 2;
const radians = degrees => degrees * Math.PI / 180;

function equalEarth(longitude, latitude) {
    const t = Math.asin(M * Math.sin(radians(latitude))), t2 = t * t, t6 = t2 ** 3;
    return [
        radians(longitude) * Math.cos(t) / (M * (A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2))),
        t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2)),
    ];
}

const scale = WIDTH / 2 / equalEarth(180, 0)[0];

export const HEIGHT = 2 * scale * equalEarth(0, 90)[1];

/** Where a place is in the picture: [x, y]. */
export function project(longitude, latitude) {
    const [x, y] = equalEarth(longitude, latitude);
    return [WIDTH / 2 + scale * x, HEIGHT / 2 - scale * y];
}

const range = (from, to, step) => Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);
const path = places => `M${places.map(place => project(...place).map(n => n.toFixed(1)).join(' ')).join('L')}`;
const meridian = longitude => range(-90, 90, 5).map(latitude => [longitude, latitude]);

/** The edge of the picture, as an SVG path. */
export const outline = `${path([...meridian(-180), ...meridian(180).reverse()])}Z`;

/** Meridians and parallels, 30 degrees apart. */
export const graticule = [
    ...range(-150, 150, 30).map(meridian),
    ...range(-60, 60, 30).map(latitude => [[-180, latitude], [180, latitude]]), // straight in this projection
].map(path).join('');
