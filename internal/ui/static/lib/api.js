// Requests to the API of the daemon.

/** ApiError is a request that failed. Its message is for people. */
export class ApiError extends Error {
  /**
   * @param {number} status of HTTP; 0 if the daemon did not answer
   * @param {{code?: string, message?: string, hint?: string}} what
   */
  constructor(status, { code = "", message = "", hint = "" }) {
    super(message || `the daemon answers with status ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/**
 * problemOf reads the body of a failed answer: problem details (RFC 9457) with the code and hint of the API.
 * @param {any} body
 * @returns {{code?: string, message?: string, hint?: string}}
 */
export function problemOf(body) {
  const old = body?.error ?? {};
  return {
    code: body?.code ?? old.code,
    message: body?.detail ?? body?.message ?? old.message ?? body?.title,
    hint: body?.hint ?? old.hint,
  };
}

/** pathOf escapes each part of a path: pathOf("v1", "torrents", ref). */
export function pathOf(...parts) {
  return `/${parts.map((part) => String(part).split("/").map(encodeURIComponent).join("/")).join("/")}`;
}

/** Api sends requests with the CSRF token of the session. */
export class Api {
  /** The CSRF token, which a session sets. */
  csrf = "";
  /** @type {() => void} called when an answer says that nobody is signed in */
  onSignedOut = () => {};
  /** @type {(reached: boolean) => void} called after each request */
  onReached = () => {};

  /** @param {typeof fetch} [send] */
  constructor(send = (...args) => globalThis.fetch(...args)) {
    this.send = send;
  }

  /**
   * raw sends a request and returns the response, whatever its status.
   * @param {string} method
   * @param {string} path
   * @param {{body?: any, query?: Record<string, any>, headers?: Record<string, string>, signal?: AbortSignal}} [options]
   *   A body that is no Blob is sent as JSON.
   * @returns {Promise<Response>}
   */
  async raw(method, path, { body, query, headers = {}, signal } = {}) {
    const params = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== ""));
    const url = params.size > 0 ? `${path}?${params}` : path;
    const with_ = { ...headers };
    if (method !== "GET" && method !== "HEAD") with_["X-Spate-CSRF"] = this.csrf;
    if (body !== undefined && !(body instanceof Blob)) {
      with_["Content-Type"] = "application/json";
      body = JSON.stringify(body);
    }
    let response;
    try {
      response = await this.send(url, { method, body, headers: with_, signal, credentials: "same-origin", cache: "no-store" });
    } catch (err) {
      if (signal?.aborted) throw err;
      this.onReached(false);
      throw new ApiError(0, { code: "unreachable", message: "the daemon does not answer" });
    }
    this.onReached(true);
    return response;
  }

  /**
   * request sends a request and returns the decoded JSON of the answer, or null if it has no content. It throws
   * an ApiError if the request fails.
   * @param {string} method
   * @param {string} path
   * @param {Parameters<Api["raw"]>[2]} [options]
   */
  async request(method, path, options) {
    const response = await this.raw(method, path, options);
    const text = await response.text();
    if (response.ok) return text === "" ? null : JSON.parse(text);
    if (response.status === 401 && !path.startsWith("/session")) this.onSignedOut();
    let body = null;
    try {
      body = JSON.parse(text);
    } catch {
      // The answer is that of a proxy, and has no details.
    }
    throw new ApiError(response.status, problemOf(body));
  }

  get(path, query, signal) {
    return this.request("GET", path, { query, signal });
  }

  post(path, body, signal) {
    return this.request("POST", path, { body, signal });
  }

  patch(path, body) {
    return this.request("PATCH", path, { body });
  }

  put(path, body) {
    return this.request("PUT", path, { body });
  }

  delete(path, query) {
    return this.request("DELETE", path, { query });
  }
}
