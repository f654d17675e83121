// The stream of events of the daemon, which is opened again when it ends.
import { Value } from "./value.js";

/** nextDelay returns the time before try number n after a failure, in milliseconds: 1, 2, 4, 8, then 15 seconds. */
export function nextDelay(n) {
  return Math.min(1000 * 2 ** n, 15_000);
}

/** The longest silence of a connection in milliseconds. The daemon sends a comment line every 15 seconds. */
const firstAnswer = 20_000;

/** Stream reads /v1/events and goes on where it was after an interruption. */
export class Stream {
  /** @type {Value<"connecting"|"live"|"lost">} */
  state = new Value("connecting");
  #source = null;
  #last = "";
  #failures = 0;
  #timer = 0;

  /**
   * @param {Record<string, (data: any) => void>} handlers by the name of the event
   * @param {{open?: (url: string) => EventSource, onFailure?: () => void}} [options]
   *   onFailure is called after each interruption.
   */
  constructor(handlers, { open = (url) => new EventSource(url), onFailure = () => {} } = {}) {
    this.handlers = handlers;
    this.open = open;
    this.onFailure = onFailure;
  }

  start() {
    this.stop();
    this.#connect();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** retry tries again now if the connection is lost. */
  retry() {
    if (this.state.get() === "lost") this.start();
  }

  #connect() {
    const source = this.open(this.#last === "" ? "/v1/events" : `/v1/events?last_event_id=${encodeURIComponent(this.#last)}`);
    this.#source = source;
    this.#timer = setTimeout(() => this.#failed(), firstAnswer);
    source.onopen = () => {
      clearTimeout(this.#timer);
      this.#failures = 0;
      this.state.set("live");
    };
    source.onerror = () => this.#failed();
    for (const [name, handle] of Object.entries(this.handlers)) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) this.#last = event.lastEventId;
        handle(JSON.parse(event.data));
      });
    }
  }

  // The browser would try again at a fixed rate without end. This stream slows down, and says so.
  #failed() {
    this.stop();
    this.state.set("lost");
    this.#timer = setTimeout(() => this.#connect(), nextDelay(this.#failures++));
    this.onFailure();
  }
}
