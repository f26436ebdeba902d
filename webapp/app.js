// Touchwood: a deck of woods. What is here: what is kept (state), the cards and how they move, the buttons, and what the
// collector is told: CLICK_LANG, LIKE_WOOD, UNLIKE_WOOD and GEO_LOC. README.md has the section on it.
// SPDX-License-Identifier: Apache-2.0
import { Clickstream } from './clickstream.js';
import { bearer } from './jwt.js';
import { sayings, texts } from './sayings.js';
import { draw, woods } from './woods.js';

// The collector, and what this app shows it. The secret is known to everybody who opens the page (see jwt.js); for a
// collector with `ClickstreamAuth jwt` and `ClickstreamClient touchwood-app secret=FILE` the file has the same text.
const COLLECTOR = '/poc-kstream/';
const CLIENT = 'touchwood-app';
const SECRET = 'knock-three-times-on-the-nearest-piece-of-wood';

const tracker = new Clickstream({
    collector: COLLECTOR,
    client: CLIENT,
    authorization: bearer({ issuer: CLIENT, subject: 'poc-kstream', secret: SECRET }),
});

const find = id => document.getElementById(id);
const deck = find('deck'), ask = find('ask'), likeButton = find('like');
const wrap = index => (index + woods.length) % woods.length;
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const night = matchMedia('(prefers-color-scheme: dark)');

// --- what is kept ---

const STORE = 'touchwood';
const fresh = {
    language: navigator.languages?.[0]?.toLowerCase().startsWith('zh') ? 'hk' : 'en', likes: [], index: 0, located: false,
};

// Storage may be forbidden, and anything may stand in it.
function recall() {
    let kept;
    try {
        kept = JSON.parse(localStorage.getItem(STORE));
    } catch { /* as if nothing were there */ }
    return {
        language: Object.hasOwn(texts, kept?.language) ? kept.language : fresh.language,
        likes: Array.isArray(kept?.likes) ? kept.likes.filter(id => woods.some(wood => wood.id === id)) : [],
        index: Number.isInteger(kept?.index) && woods[kept.index] ? kept.index : 0,
        located: kept?.located === true,
    };
}

let state = recall();

// Another tab may have changed what this one does not know of yet: only `changes` are new.
function keep(changes) {
    try {
        localStorage.setItem(STORE, JSON.stringify({ ...recall(), ...changes }));
    } catch { /* then it is known until the page goes */ }
    state = { ...state, ...changes };
}

const text = () => texts[state.language];
const likes = index => state.likes.includes(woods[index].id);

// --- the pictures: each is drawn once for a size of the screen, into a canvas that only moves ---

const MOST_PIXELS = 1.6e6; // grain does not need a telephone's three pixels per pixel
const pictures = new Map(); // index -> canvas
let era = 0; // counts the sizes and lights that there were

async function paint(index) {
    const began = era, width = deck.clientWidth, height = deck.clientHeight;
    const picture = new Image();
    picture.src = `data:image/svg+xml,${encodeURIComponent(draw(index, width, height))}`;
    await picture.decode();
    if (began !== era)
        return;
    const canvas = document.createElement('canvas');
    const scale = Math.min(devicePixelRatio, 2, Math.sqrt(MOST_PIXELS / (width * height)));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext('2d', { alpha: false });
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    light(context, canvas.width, canvas.height);
    pictures.set(index, canvas);
}

// Daylight falls in from the upper left; by night there is a lamp.
function light(context, width, height) {
    const reach = Math.hypot(width, height);
    const shine = (mode, x, y, ...stops) => {
        const gradient = context.createRadialGradient(width * x, height * y, 0, width * x, height * y, reach);
        stops.forEach(([at, color]) => gradient.addColorStop(at, color));
        context.globalCompositeOperation = mode;
        context.fillStyle = gradient;
        context.fillRect(0, 0, width, height);
    };
    if (night.matches) {
        shine('multiply', 0.5, 0.3, [0, '#a8947e'], [0.4, '#83705d'], [0.85, '#44382c'], [1, '#33291f']);
    } else {
        shine('soft-light', 0.2, 0.05, [0, 'rgb(255 250 235 / .4)'], [0.6, 'rgb(128 128 128 / 0)']);
        shine('multiply', 0.45, 0.4, [0.35, 'rgb(255 255 255 / 0)'], [1, 'rgb(150 122 100 / .75)']);
    }
}

// First the wood that is seen, then its neighbours, each when there is time; those far away are let go.
let painting = false;
const idle = globalThis.requestIdleCallback ?? (work => setTimeout(work, 60));

async function paintAll() {
    if (painting)
        return;
    painting = true;
    for (let due; (due = [0, 1, -1].map(step => wrap(state.index + step)).find(index => !pictures.has(index))) !== undefined;) {
        if (due !== state.index)
            await new Promise(resolve => idle(resolve, { timeout: 500 }));
        try {
            await paint(due);
        } catch (error) {
            console.warn(`touchwood: ${woods[due].id} cannot be drawn: ${error.message}`);
            break;
        }
        boards.forEach(hang);
    }
    painting = false;
    for (const index of pictures.keys())
        if (![-2, -1, 0, 1, 2].some(step => wrap(state.index + step) === index))
            pictures.delete(index);
}

function repaint() {
    era++;
    pictures.clear();
    paintAll();
}

// --- the cards: three boards, [the previous, the current, the next], which take turns ---

const boards = [-1, 0, 1].map(() => {
    const board = document.createElement('article');
    board.className = 'board';
    board.setAttribute('aria-roledescription', 'card');
    board.innerHTML = '<div class="picture"></div><div class="words"><p class="number"></p><h2></h2>'
        + '<p class="latin" lang="la"></p><p class="saying"></p></div><div class="shade"></div>';
    deck.append(board);
    return { element: board, index: -1, find: name => board.querySelector(name) };
});

function hang(board) {
    const canvas = pictures.get(board.index), frame = board.find('.picture');
    if (canvas && frame.firstChild !== canvas)
        frame.replaceChildren(canvas);
}

function fill(board, index) {
    const wood = woods[index];
    if (board.index !== index)
        board.find('.picture').replaceChildren();
    board.index = index;
    board.element.dataset.ink = wood.ink;
    board.element.style.backgroundColor = wood.tone;
    board.find('.number').textContent = `${index + 1} / ${woods.length}`;
    board.find('h2').textContent = wood.name[state.language];
    board.find('.latin').textContent = wood.latin;
    board.find('.saying').textContent = sayings[wood.id][state.language];
    hang(board);
}

// offset: how far the deck is pulled, in screens. To the left (< 0) the current board slides off the next one; to the
// right (> 0) the previous one slides back over it.
let offset = 0;

function place(to) {
    offset = Math.max(-1, Math.min(1, to));
    const [previous, current, next] = boards;
    const put = (board, seen, shift, depth) => {
        board.element.style.visibility = seen ? 'visible' : 'hidden';
        board.element.style.transform = `translateX(${shift * 100}%) scale(${1 - 0.06 * depth})`;
        board.find('.shade').style.opacity = 0.5 * depth;
    };
    put(previous, offset > 0, offset - 1, 0);
    put(current, true, Math.min(offset, 0), Math.max(offset, 0));
    put(next, offset < 0, 0, 1 + Math.min(offset, 0));
    [previous, current, next].forEach(({ element }, i) => {
        element.style.zIndex = 3 - i;
        element.setAttribute('aria-hidden', String(i !== 1));
    });
}

// A spring without swinging pulls the deck back to its place.
const STIFFNESS = 190; // per second, squared
let running = 0;

function settle(speed = 0) {
    cancelAnimationFrame(running);
    if (calm.matches) {
        place(0);
        return;
    }
    let before = performance.now();
    const step = now => {
        const time = Math.min((now - before) / 1000, 1 / 30), side = Math.sign(offset);
        before = now;
        speed += (-STIFFNESS * offset - 2 * Math.sqrt(STIFFNESS) * speed) * time;
        const to = offset + speed * time;
        if (Math.sign(to) !== side || Math.abs(to) < 0.0005) {
            place(0);
            return;
        }
        place(to);
        running = requestAnimationFrame(step);
    };
    running = requestAnimationFrame(step);
}

function go(step, speed = 0) {
    if (offset * step > 0) // still on the way from the one before
        place(0);
    keep({ index: wrap(state.index + step) });
    if (step > 0)
        boards.push(boards.shift());
    else
        boards.unshift(boards.pop());
    fill(boards[1 + step], wrap(state.index + step));
    place(offset + step);
    showControls();
    announce();
    settle(speed);
    paintAll();
}

function announce() {
    const { name, id } = woods[state.index];
    find('news').textContent = text().card(state.index + 1, woods.length, name[state.language],
        sayings[id][state.language].replaceAll('\n', ''));
}

// --- the finger ---

const SLOP = 8; // CSS pixels until a touch is a swipe
let pull = null;

deck.addEventListener('pointerdown', event => {
    if (!event.isPrimary || event.button !== 0)
        return;
    pull = { id: event.pointerId, x: event.clientX, y: event.clientY, from: offset, moving: false, trail: [] };
    deck.style.setProperty('--x', `${event.clientX}px`);
    deck.style.setProperty('--y', `${event.clientY}px`);
    deck.classList.add('touched');
});

deck.addEventListener('pointermove', event => {
    if (event.pointerId !== pull?.id)
        return;
    const across = event.clientX - pull.x;
    if (!pull.moving) {
        if (Math.abs(across) < SLOP || Math.abs(across) < Math.abs(event.clientY - pull.y))
            return;
        pull.moving = true;
        pull.x = event.clientX;
        pull.from = offset;
        cancelAnimationFrame(running);
        deck.setPointerCapture(event.pointerId);
        return;
    }
    pull.trail = [...pull.trail.filter(([, when]) => when > event.timeStamp - 100), [event.clientX, event.timeStamp]];
    place(pull.from + across / deck.clientWidth);
});

function release(event) {
    deck.classList.remove('touched');
    if (event.pointerId !== pull?.id)
        return;
    const { moving, trail } = pull, [[x, when] = [event.clientX, event.timeStamp]] = trail;
    pull = null;
    if (!moving)
        return;
    const speed = (event.clientX - x) / deck.clientWidth / Math.max(event.timeStamp - when, 16) * 1000; // screens a second
    const far = Math.abs(offset) > 0.3 || Math.abs(speed) > 0.7;
    if (event.type === 'pointerup' && far && speed * offset >= 0 && offset !== 0)
        go(-Math.sign(offset), speed);
    else
        settle(speed);
}
deck.addEventListener('pointerup', release);
deck.addEventListener('pointercancel', release);

// --- the buttons ---

find('previous').addEventListener('click', () => go(-1));
find('next').addEventListener('click', () => go(1));

document.addEventListener('keydown', event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || ask.open || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey)
        return;
    event.preventDefault();
    go(step);
});

likeButton.addEventListener('click', () => {
    const { index } = state, { id } = woods[index], liked = !likes(index);
    keep({ likes: [...recall().likes.filter(other => other !== id), ...(liked ? [id] : [])] });
    tracker.track(liked ? 'LIKE_WOOD' : 'UNLIKE_WOOD', index);
    showControls();
});

find('language').addEventListener('click', () => {
    keep({ language: state.language === 'en' ? 'hk' : 'en' });
    tracker.track('CLICK_LANG', state.language);
    showAll();
    announce();
});

find('place').addEventListener('click', async () => {
    if (tracker.optedOut)
        say('optedOut');
    else if (state.located)
        say('shared');
    else if (!isSecureContext)
        say('insecure');
    else if (await isDenied())
        say('denied');
    else
        ask.showModal();
});

/** Whether the browser would refuse without asking, as far as it tells. */
async function isDenied() {
    try {
        return (await navigator.permissions.query({ name: 'geolocation' })).state === 'denied';
    } catch {
        return false;
    }
}

find('not-now').addEventListener('click', () => ask.close());
ask.addEventListener('click', event => event.target === ask && ask.close()); // beside it
find('share').addEventListener('click', async () => {
    ask.close();
    say('asking');
    try {
        await tracker.location();
        keep({ located: true });
        say('shared');
    } catch (error) {
        say(error.code === 1 ? 'refused' : 'lost'); // GeolocationPositionError.PERMISSION_DENIED
    }
    showControls();
});

let quiet;
function say(key) {
    const toast = find('toast');
    toast.textContent = text()[key];
    toast.classList.add('shown');
    clearTimeout(quiet);
    quiet = setTimeout(() => toast.classList.remove('shown'), 6000);
}

// --- what is shown ---

const ticks = woods.map(() => find('ruler').appendChild(document.createElement('i')));

function showControls() {
    const wood = woods[state.index];
    document.body.dataset.ink = wood.ink;
    document.body.style.backgroundColor = wood.tone;
    document.querySelector('meta[name=theme-color]').content = wood.tone;
    likeButton.setAttribute('aria-pressed', String(likes(state.index)));
    likeButton.setAttribute('aria-label', text().like(wood.name[state.language]));
    find('place').classList.toggle('done', state.located);
    ticks.forEach((tick, index) => {
        tick.className = `${index === state.index ? 'here' : ''} ${likes(index) ? 'liked' : ''}`;
    });
}

function showAll() {
    const { lang, title } = text();
    document.documentElement.lang = lang;
    document.title = title;
    for (const element of document.querySelectorAll('[data-text]'))
        element.textContent = text()[element.dataset.text];
    for (const element of document.querySelectorAll('[data-label]'))
        element.setAttribute('aria-label', text()[element.dataset.label]);
    find('language').lang = texts[state.language === 'en' ? 'hk' : 'en'].lang;
    find('toast').classList.remove('shown');
    boards.forEach((board, i) => fill(board, wrap(state.index + i - 1)));
    showControls();
}

// --- the world around ---

addEventListener('storage', event => {
    if (event.key !== STORE && event.key !== null)
        return;
    const { language, likes, located } = recall(); // each tab stays at its own card
    state = { ...state, language, likes, located };
    showAll();
});

let resizing;
new ResizeObserver(() => {
    clearTimeout(resizing);
    resizing = setTimeout(repaint, pictures.size || painting ? 200 : 0);
}).observe(deck);
night.addEventListener('change', repaint);

showAll();
place(0);
