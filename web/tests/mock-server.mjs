// Serves the built pages and a mock of the HTTP contract, for developing and testing the pages alone.
//
// Tokens: demo-clinician, demo-launch (fixed to patient p1), demo-admin. Questions with "zebra" are
// abstained from, with "broken" fail midway, with "slow" never end.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { ago, contextOf, documents, findings, freshness, patients, quarantine, sentences } from "./mock-data.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const SECURITY = {
  "Content-Security-Policy": "default-src 'self'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};
const PAGE_SIZE = 50;

const nobody = { tenant: "demo", purpose: "treatment", patient: null, operations: [], can_list_patients: true };
const callers = {
  "demo-clinician": { ...nobody, caller: "dr.lefevre" },
  "demo-launch": { ...nobody, caller: "dr.lefevre", patient: "p1" },
  "demo-admin": { ...nobody, caller: "ops", purpose: null, operations: ["reindex", "quarantine", "sources", "quality"] },
};

const jobs = [
  { id: "j0", target: { scope: "patient", id: "p7" }, state: "failed", done: 3, total: 8, error: "model file missing", created_at: ago(2), ended_at: ago(1.99) },
];

function problem(response, status, code, title, detail) {
  response.writeHead(status, { "Content-Type": "application/problem+json", ...SECURITY });
  response.end(JSON.stringify({ type: "about:blank", title, status, code, detail, request_id: "mock-1" }));
}

function json(response, body, status = 200) {
  response.writeHead(status, { "Content-Type": "application/json", ...SECURITY });
  response.end(JSON.stringify(body));
}

const missing = (response) => problem(response, 404, "not_found", "Not found", "nothing of that name is within reach");

function bytes(response, content) {
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Disposition": "attachment", ...SECURITY });
  response.end(content);
}

function page(list, url) {
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const limit = Math.min(Number(url.searchParams.get("limit") ?? PAGE_SIZE), PAGE_SIZE);
  const next = from + limit < list.length ? String(from + limit) : null;
  return { part: list.slice(from, from + limit), next };
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length === 0 ? null : JSON.parse(Buffer.concat(chunks).toString());
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const frame = (event, body) => `event: ${event}\r\ndata: ${JSON.stringify(body)}\r\n\r\n`;

/** Sends the frame in pieces of 97 bytes, so that characters and line ends are cut through. */
async function sendCut(response, text) {
  const whole = Buffer.from(text);
  for (let at = 0; at < whole.length; at += 97) {
    response.write(whole.subarray(at, at + 97));
    await pause(1);
  }
}

async function answer(request, response) {
  const { question } = await bodyOf(request);
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store", ...SECURITY });
  const abstains = question.includes("zebra");
  for (const sentence of abstains ? [] : sentences) {
    await pause(60);
    await sendCut(response, frame("sentence", sentence));
    if (question.includes("slow")) await new Promise((resolve) => response.on("close", resolve));
    if (question.includes("broken")) {
      return response.end(frame("error", { title: "The index is being built", status: 503, code: "index_building", detail: "try again in 30 seconds" }));
    }
  }
  const [status, reason] = abstains ? ["abstained", "no_evidence"] : ["answered", null];
  await sendCut(response, frame("done", { status, reason, freshness }));
  response.end();
}

function advance(job) {
  if (job.state === "queued") job.state = "running";
  else if (job.state === "running") job.done = Math.min(job.total, job.done + 5);
  if (job.state === "running" && job.done === job.total) {
    Object.assign(job, { state: "done", ended_at: new Date().toISOString() });
  }
}

function admin(request, response, parts, url) {
  const [area, id, action] = parts;
  const item = quarantine.find((one) => one.id === id);
  const job = jobs.find((one) => one.id === id);
  if (area === "quarantine" && !id) {
    const { part, next } = page(quarantine, url);
    return json(response, { items: part, next });
  }
  if (area === "quarantine" && !item) return missing(response);
  if (area === "quarantine" && action === "bytes") return bytes(response, "{broken");
  if (area === "quarantine" && action === "replay") {
    const replayed = item.id !== "q1";
    if (replayed) item.state = "replayed";
    return json(response, { state: item.state, reason: replayed ? null : item.reason });
  }
  if (area === "findings") return json(response, { items: findings, next: null });
  if (area === "reindex") {
    const created_at = new Date().toISOString();
    const made = { id: `j${jobs.length}`, target: { scope: "all" }, state: "queued", done: 0, total: 12, error: null, created_at, ended_at: null };
    jobs.unshift(made);
    return json(response, made, 202);
  }
  if (area === "jobs" && !id) {
    jobs.forEach(advance);
    return json(response, { jobs });
  }
  if (area === "jobs" && job && action === "cancel") {
    Object.assign(job, { state: "cancelled", ended_at: new Date().toISOString() });
    return json(response, job);
  }
  return missing(response);
}

async function api(request, response, url) {
  const caller = callers[(request.headers.authorization ?? "").replace(/^Bearer /, "")];
  if (!caller) return problem(response, 401, "token_invalid", "The token was not accepted", "it is missing, expired or not signed by a known key");
  const [first, id, third] = url.pathname.slice("/v1/".length).split("/").map(decodeURIComponent);
  if (first === "whoami") return json(response, caller);
  if (first === "freshness") return json(response, freshness);
  if (first === "answer" && request.method === "POST") return answer(request, response);
  if (first === "patients" && id) return third === "context" ? json(response, contextOf(id)) : missing(response);
  if (first === "patients") {
    const { part, next } = page(caller.patient ? patients.filter((one) => one.id === caller.patient) : patients, url);
    return json(response, { patients: part, next });
  }
  if (first === "documents") {
    const version = url.searchParams.get("version");
    const found = documents.find((one) => one.document === id && (version === null ? one.latest : one.version === Number(version)));
    if (!found) return missing(response);
    return third === "original" ? bytes(response, found.text) : json(response, found);
  }
  if (first !== "admin") return missing(response);
  if (caller.operations.length === 0) return problem(response, 403, "scope_missing", "Not allowed", "the token has no admin scope");
  return admin(request, response, url.pathname.split("/").slice(3), url);
}

async function file(response, pathname) {
  const name = normalize(pathname === "/" ? "/index.html" : pathname);
  try {
    const content = await readFile(join(DIST, name));
    response.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream", ...SECURITY });
    response.end(content);
  } catch {
    missing(response);
  }
}

export function startMock(port = 0) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    const handled = url.pathname.startsWith("/v1/") ? api(request, response, url) : file(response, url.pathname);
    Promise.resolve(handled).catch(() => response.destroy());
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve({ server, url: `http://127.0.0.1:${server.address().port}` }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await startMock(Number(process.env.PORT ?? 8080));
  console.log(`mock at ${url}/#token=demo-admin`);
}
