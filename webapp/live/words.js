// Numbers, states and reasons as people read them: as on the status page (mod_clickstream/status/words.c and html.c).
// SPDX-License-Identifier: Apache-2.0

export const count = number => Math.round(number).toLocaleString('en');

export function decimal(number) {
    if (number >= 100)
        return count(number);
    return number <= 0 ? '0' : number.toFixed(number >= 1 ? 1 : 2);
}

export function bytes(number) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
    let unit = 0;
    for (; number >= 1023.5 && unit < units.length - 1; unit++)
        number /= 1024;
    return `${number.toFixed(unit && number < 9.95 ? 1 : 0)} ${units[unit]}`;
}

/** "120 ms", "1.5 s", "42 s", "2 min 5 s", "3 h 0 min", "2 d 4 h" */
export function duration(seconds) {
    const pairs = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']];
    const [large, largeName, small, smallName] = pairs.find(([large]) => seconds >= large) ?? [];
    if (large)
        return `${Math.floor(seconds / large)} ${largeName} ${Math.floor(seconds % large / small)} ${smallName}`;
    if (seconds >= 1)
        return `${seconds >= 10 ? Math.floor(seconds) : Math.floor(seconds * 10) / 10} s`;
    return `${Math.floor(seconds * 1000)} ms`;
}

/** The time of the day here, with the day where it is not today. */
export function time(when) {
    const day = when.toLocaleDateString('sv'), today = new Date().toLocaleDateString('sv');
    const clock = when.toLocaleTimeString('en-GB');
    return day === today ? clock : `${day} ${clock}`;
}

/** "22.32° N, 114.17° E" */
export function place(longitude, latitude) {
    const degrees = (number, plus, minus) => `${Math.abs(number).toFixed(2)}° ${number < 0 ? minus : plus}`;
    return `${degrees(latitude, 'N', 'S')}, ${degrees(longitude, 'E', 'W')}`;
}

/** What stands before a state's word, for those who do not tell the colours apart, and what the state is. */
export const states = {
    idle: { mark: '○', about: 'nothing waits' },
    delivering: { mark: '▶\uFE0E', about: 'events wait for their batch, or are on their way' },
    waiting: { mark: '⏸\uFE0E', about: 'events wait, and no sender is at work' },
    retrying: { mark: '↻', about: 'delivery fails; all is sent again until it is through' },
    full: { mark: '■', about: 'the queue is at least 90% full: soon clients get 503, or do already' },
    no_queue: { mark: '–', about: 'nothing was ever queued' },
    unusable: { mark: '×', about: 'the queue file cannot be used; the error log says why' },
};

export const kinds = { firehose: 'Amazon Data Firehose', file: 'local folder' };

export const reasons = {
    malformed_json: 'the text is no JSON',
    not_an_object: 'it is JSON, but no object',
    missing_field: 'a member is not there',
    wrong_type: 'a value is of the wrong type',
    bad_timestamp: 'the timestamp is none',
    out_of_range: 'a value is out of its range',
    unknown_tag: 'the tag is not known',
    too_large: 'an event or a request is too long',
    too_deep: 'it is nested too deep',
    too_many_events: 'requests with too many events',
    unauthorized: 'requests without a token that is right',
    unknown_client: 'requests of a client that is not known',
    queue_full: 'the queue had no room',
};
