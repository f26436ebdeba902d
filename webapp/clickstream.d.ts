// What clickstream.js declares; README.md is its manual.
// SPDX-License-Identifier: Apache-2.0

/** What is observed without a line of code of the page's own. What is not named is not observed. */
export interface Auto {
  /** PAGE_VIEW: the page that was loaded, and each route of a single-page app. */
  pages?: boolean;
  /** CLICK_LINK: clicks on `<a href>`. */
  links?: boolean;
  /** Clicks on elements with `data-tag` and, for the value, `data-value`. */
  tags?: boolean;
  /** SCROLL_DEPTH: 25, 50, 75, 100 percent of the page seen. */
  scroll?: boolean;
  /** ERROR: uncaught errors and rejections, ten for each page at most. */
  errors?: boolean;
}

export interface Options {
  /** The URL that events are posted to. */
  collector: string;
  /** The header `client_id`. */
  client: string;
  /** The bearer token, or what returns one, asked before each batch. Default: `'anonymous'`. */
  authorization?: string | (() => string | Promise<string>);
  /** Who, as the events' `token`. Default: random, kept in localStorage. */
  token?: string;
  /** Events that are sent together, at most. Default: 20. */
  batchSize?: number;
  /** Milliseconds after which they are sent although they are fewer. Default: 2000. */
  batchInterval?: number;
  /** Whether Global Privacy Control and Do Not Track are heeded. Default: true. */
  respectPrivacy?: boolean;
  /** What is observed. Default: nothing. */
  auto?: Auto;
}

/** Further members of an event. */
export type Members = Record<string, unknown>;

export class Clickstream {
  /** @throws Error where `collector` or `client` is missing */
  constructor(options: Options);

  /** Events that were dropped since this page was loaded, as too many waited. */
  dropped: number;

  /** Events that wait for their answer. */
  readonly pending: number;

  /** Whether nothing is sent: by optOut(), here or in another tab, or by the browser's setting. */
  readonly optedOut: boolean;

  /** An event. An object with `latitude` and `longitude` becomes members of the event instead of its `value`. */
  track(tag: string, value?: unknown, extra?: Members): void;

  /** PAGE_VIEW, by default of the page's path. */
  page(path?: string, extra?: Members): void;

  /** Asks for the position, and tracks it as GEO_LOC. Rejects as the browser does. */
  location(options?: PositionOptions): Promise<GeolocationPosition>;

  /** Sends what waits. Resolves when that is answered, or has failed and will be tried again. */
  flush(): Promise<void>;

  /** Forgets what waits and the token, and sends nothing from now on; in all tabs of this site. */
  optOut(): void;

  /** The end of optOut(). What the browser is set to still counts. */
  optIn(): void;

  /** Sends what waits, and ends for ever. */
  close(): void;
}

/** That of the script tag; undefined where there is none. */
export const tracker: Clickstream | undefined;
