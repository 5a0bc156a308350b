// The public API as the page calls it: problems as errors, the session's token, loss of the server.

/** What went wrong, in the API's words (RFC 9457) or, where the server is silent, in ours. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", title, detail, retryAfter = null, location = null }) {
    super(detail || title);
    Object.assign(this, { status, code, title, detail, retryAfter, location });
  }
}

/** `lost` and `found` as the server goes and comes back; `signed-out` when the session has ended. */
export const server = new EventTarget();

let csrfToken = null;
let reachable = true;

export function setCsrfToken(token) {
  csrfToken = token;
}

/** Notes whether the server answered. */
export function noteReachable(now) {
  if (now === reachable) return;
  reachable = now;
  server.dispatchEvent(new Event(now ? "found" : "lost"));
}

export function isReachable() {
  return reachable;
}

/** A call; `{ data, etag, status, headers }`, or a `Problem`. A 304 has no data and is no error. */
export async function call(method, path, { json, etag, signal, headers = {}, quiet = false } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  if (etag) sent["If-None-Match"] = etag;
  if (method !== "GET" && csrfToken) sent["X-CSRF-Token"] = csrfToken;
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: json === undefined ? undefined : JSON.stringify(json),
      credentials: "same-origin",
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    noteReachable(false);
    throw unreachable(method);
  }
  noteReachable(true);
  if (!answer.ok && answer.status !== 304) throw await problemOf(answer, quiet);
  const hasBody = answer.status !== 204 && answer.status !== 304;
  return {
    data: hasBody ? await answer.json() : null,
    etag: answer.headers.get("ETag"),
    status: answer.status,
    headers: answer.headers,
  };
}

export async function get(path, options) {
  return (await call("GET", path, options)).data;
}

export async function post(path, json, options) {
  return (await call("POST", path, { json, ...options })).data;
}

export async function put(path, json, options) {
  return (await call("PUT", path, { json, ...options })).data;
}

export async function patch(path, json, options) {
  return (await call("PATCH", path, { json, ...options })).data;
}

export async function remove(path, options) {
  return (await call("DELETE", path, options)).data;
}

/** Sends a form; `onProgress(share)` as its bytes leave. The answer is the parsed body. */
export function upload(path, form, { onProgress, headers = {}, signal } = {}) {
  // `fetch` cannot tell how far an upload has come.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept", "application/json");
    if (csrfToken) request.setRequestHeader("X-CSRF-Token", csrfToken);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress?.(event.loaded / event.total);
    };
    request.onload = () => {
      noteReachable(true);
      const body = parsed(request.responseText);
      if (request.status < 400) resolve(body);
      else reject(toProblem(request.status, body, (name) => request.getResponseHeader(name)));
    };
    request.onerror = () => {
      noteReachable(false);
      reject(unreachable("POST"));
    };
    request.onabort = () => reject(new DOMException("Aborted", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** A key for the header `Idempotency-Key`: a random UUID, which secure contexts alone could ask for. */
export function newKey() {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  const digits = [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** An answer that another try would not change; too many requests are none. */
export function isRefusal(error) {
  return error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;
}

/** A problem's sentence for a person. */
export function words(error) {
  if (error instanceof Problem) return error.detail || error.title;
  return "The page failed to do this. Load it again; if it happens again, tell your administrator.";
}

async function problemOf(answer, quiet) {
  const body = parsed(await answer.text());
  const problem = toProblem(answer.status, body, (name) => answer.headers.get(name));
  if (problem.status === 401 && !quiet) server.dispatchEvent(new Event("signed-out"));
  return problem;
}

/** What is not read only is never sent again by itself, and may have arrived. */
function unreachable(method) {
  return new Problem({
    title: "The server does not answer.",
    detail:
      method === "GET"
        ? "Nothing was lost here. The page tries again by itself; check that NeuroScan is running."
        : "It is not known whether this arrived. Try again when the server is back.",
  });
}

function toProblem(status, body, headerOf) {
  const retryAfter = headerOf("Retry-After");
  const title = body?.title ?? `The server answered ${status}.`;
  return new Problem({
    status,
    code: body?.code ?? "unknown",
    title,
    detail: body?.detail ?? title,
    retryAfter: retryAfter ? Number(retryAfter) : null,
    location: headerOf("Location"),
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
