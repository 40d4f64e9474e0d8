// Walks both pages in Chromium as a reader would; nothing may reach the console's error level.
//
// Environment: ANAMNESIS_URL (unset: the mock is started), ANAMNESIS_TOKEN, ANAMNESIS_QUESTION,
// ANAMNESIS_PATIENT (an id), ANAMNESIS_ADMIN_TOKEN, ANAMNESIS_SCREENSHOTS (a folder), CHROMIUM.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { startMock } from "./mock-server.mjs";

const against = process.env.ANAMNESIS_URL;
const mocked = against === undefined;
const settings = {
  token: process.env.ANAMNESIS_TOKEN ?? "demo-clinician",
  adminToken: process.env.ANAMNESIS_ADMIN_TOKEN ?? (mocked ? "demo-admin" : undefined),
  question: process.env.ANAMNESIS_QUESTION ?? "Which anticoagulant does she take?",
  patient: process.env.ANAMNESIS_PATIENT ?? "p1",
  screenshots: process.env.ANAMNESIS_SCREENSHOTS,
};
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 390, height: 844 };
const onMock = { skip: mocked ? false : "needs the mock's own behaviour" };

let mock;
let address;
let browser;

before(async () => {
  if (mocked) mock = await startMock();
  address = against ?? mock.url;
  if (settings.screenshots) await mkdir(settings.screenshots, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

after(async () => {
  await browser?.close();
  mock?.server.closeAllConnections();
  mock?.server.close();
});

/** A page of its own, with every fault it shows: console errors, exceptions, CSP reports. */
async function visit(path, { viewport = WIDE, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`exception: ${error.message}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await page.goto(new URL(path, address).href);
  return { page, faults, close: () => context.close() };
}

async function picture(page, name, fullPage = true) {
  if (settings.screenshots) await page.screenshot({ path: join(settings.screenshots, `${name}.png`), fullPage });
}

async function pickPatient(page) {
  await page.locator("#patient-body > *").first().waitFor();
  if ((await page.locator(".chosen").count()) > 0) return;
  const byId = page.getByLabel("Patient id");
  if ((await byId.count()) > 0) {
    await byId.fill(settings.patient);
    await byId.press("Enter");
  } else {
    const search = page.getByRole("combobox");
    await search.fill(settings.patient);
    const option = page.getByRole("option").filter({ hasText: new RegExp(`id ${escaped(settings.patient)}$`) });
    await option.first().click();
  }
  await page.locator(".chosen").waitFor();
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

async function ask(page, question = settings.question) {
  await page.getByLabel("Your question").fill(question);
  await page.getByRole("button", { name: "Ask", exact: true }).click();
}

async function assertNoSidewaysScroll(page) {
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(beyond <= 0, `the page is ${beyond} px wider than the screen`);
}

async function askAndRead({ page, faults }, name) {
  await pickPatient(page);
  await page.locator("#context-body .freshness").waitFor();
  await ask(page);
  await page.locator("#sentences button.citation").first().waitFor();
  await page.locator("#answer-freshness .freshness").waitFor();
  assert.match(await page.locator(".source-list .age").first().innerText(), /\d+ \w+ old|^in \d+/);
  await picture(page, `${name}-answer`);
  await assertNoSidewaysScroll(page);

  const quote = await page.locator(".source-list blockquote").first().evaluate((made) => made.textContent);
  const citation = page.locator("#sentences button.citation").first();
  await citation.focus();
  await page.keyboard.press("Enter");
  const mark = page.locator("mark#cited");
  await mark.waitFor();
  assert.equal(await mark.evaluate((made) => made.textContent), quote);
  assert.ok(await markIsInView(page), "the marked text is scrolled into view");
  assert.match(await page.locator("#source .age").innerText(), /\d+ \w+ old|^in \d+/);
  await picture(page, `${name}-source`, false);
  await assertNoSidewaysScroll(page);

  await page.keyboard.press("Escape");
  assert.equal(await mark.count(), 0);
  assert.ok(await citation.evaluate((made) => made === document.activeElement), "the focus returns to the citation");
  assert.deepEqual(faults, []);
}

function markIsInView(page) {
  return page.evaluate(() => {
    const text = document.querySelector(".document-text").getBoundingClientRect();
    const mark = document.querySelector("mark").getBoundingClientRect();
    return mark.top >= text.top - 1 && mark.top <= text.bottom && mark.top >= 0 && mark.top <= window.innerHeight;
  });
}

describe("the Ask page", () => {
  test("answers with citations that open the marked source, wide and light", async () => {
    const visited = await visit(`/#token=${settings.token}`);
    assert.equal(new URL(visited.page.url()).hash, "", "the token leaves the address bar");
    await askAndRead(visited, "ask-1280");
    await visited.close();
  });

  test("answers with citations that open the marked source, narrow and dark", async () => {
    const visited = await visit(`/#token=${settings.token}`, { viewport: NARROW, colorScheme: "dark" });
    await askAndRead(visited, "ask-390");
    await visited.close();
  });

  test("asks for a token, refuses a wrong one in words, and keeps a right one over a reload", async () => {
    const { page, close } = await visit("/");
    await page.getByLabel("Access token").fill("wrong");
    await page.getByRole("button", { name: "Use token" }).click();
    await page.locator("#alert strong").waitFor();
    await picture(page, "token-1280");
    assert.ok(await page.locator("#main").isHidden());
    await page.getByLabel("Access token").fill(settings.token);
    await page.keyboard.press("Enter");
    await page.locator("#main").waitFor();
    await page.reload();
    await page.locator("#main").waitFor();
    assert.ok(await page.getByLabel("Access token").isHidden());
    await close();
  });

  test("opens the source of a line of the patient's context", async () => {
    const { page, faults, close } = await visit(`/#token=${settings.token}`);
    await pickPatient(page);
    await page.locator("#context-body .freshness").waitFor();
    const lines = page.locator("button.line");
    if ((await lines.count()) > 0) {
      await lines.first().click();
      await page.locator("mark#cited").waitFor();
    }
    assert.deepEqual(faults, []);
    await close();
  });

  test("fixes the patient of a launch token", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-launch");
    await page.getByText("Set by your launch context.").waitFor();
    await page.locator(".chosen").getByText("Ana Ruíz").waitFor();
    assert.equal(await page.getByRole("combobox").count(), 0);
    assert.equal(await page.getByRole("button", { name: "Change patient" }).count(), 0);
    assert.deepEqual(faults, []);
    await close();
  });

  test("finds a patient beyond the first page with the keyboard alone", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-clinician");
    const search = page.getByRole("combobox");
    await search.focus();
    await page.keyboard.type("p11");
    await page.getByRole("option").filter({ hasText: "id p110" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await picture(page, "patients-1280", false);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator(".chosen").getByText("id p110").waitFor();
    await page.getByText("Your token may not see these.").waitFor();
    assert.deepEqual(faults, []);
    await close();
  });

  test("says plainly that it abstains and why", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-launch");
    await page.locator(".chosen").getByText("Ana Ruíz").waitFor();
    await ask(page, "Does she own a zebra?");
    await page.getByText("No answer given.").waitFor();
    await page.getByText("No record within your reach").waitFor();
    assert.match(await page.locator("#answer-question").innerText(), /Ana Ruíz/);
    await picture(page, "abstained-1280");
    assert.deepEqual(faults, []);
    await close();
  });

  test("stops a running answer and says it is not whole", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-launch");
    await pickPatient(page);
    await ask(page, "slow question");
    await page.locator("#sentences li").first().waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped. What is shown is not the whole answer.").waitFor();
    await page.getByRole("button", { name: "Ask", exact: true }).waitFor();
    assert.deepEqual(faults, []);
    await close();
  });

  test("shows a failure midway in the alert region", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-launch");
    await pickPatient(page);
    await ask(page, "broken question");
    const alert = page.getByRole("alert");
    await alert.getByText("The index is being built").waitFor();
    await alert.getByText("try again in 30 seconds").waitFor();
    assert.deepEqual(faults, []);
    await close();
  });

  test("drops the answer when the patient changes", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-clinician");
    await pickPatient(page);
    await ask(page);
    await page.locator("#answer-freshness .freshness").waitFor();
    await page.getByRole("button", { name: "Change patient" }).click();
    assert.equal(await page.locator("#sentences li").count(), 0);
    assert.ok(await page.locator("#answer").isHidden());
    assert.deepEqual(faults, []);
    await close();
  });

  test("takes records off the screen when the token is refused", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-launch");
    await page.locator("button.line").first().waitFor();
    await page.route("**/v1/answer", (route) =>
      route.fulfill({ status: 401, contentType: "application/problem+json", body: '{"title":"The token has expired"}' }),
    );
    await ask(page);
    await page.getByRole("alert").getByText("The token has expired").waitFor();
    assert.equal(await page.locator("button.line").count(), 0);
    assert.ok(await page.getByLabel("Access token").isVisible());
    assert.deepEqual(faults.filter((fault) => !fault.includes("401")), []);
    await page.unroute("**/v1/answer");
    await page.getByLabel("Access token").fill("demo-launch");
    await page.keyboard.press("Enter");
    await page.locator("button.line").first().waitFor();
    await close();
  });

  test("lays out between the narrow and the wide", onMock, async () => {
    for (const width of [1024, 800, 320]) {
      const { page, faults, close } = await visit("/#token=demo-launch", { viewport: { width, height: 800 } });
      await ask(page);
      await page.locator("#answer-freshness .freshness").waitFor();
      await page.locator("#sentences button.citation").first().click();
      await page.locator("mark#cited").waitFor();
      assert.ok(await markIsInView(page), `the marked text is in view at ${width} px`);
      await picture(page, `ask-${width}-source`, false);
      await assertNoSidewaysScroll(page);
      assert.deepEqual(faults, []);
      await close();
    }
  });

  test("offers the latest version and the record as it came", onMock, async () => {
    const { page, faults, close } = await visit("/#token=demo-launch");
    await ask(page);
    await page.locator("#sentences button.citation").first().click();
    await page.getByText("This is not the latest version").waitFor();
    await page.getByText("Check that it still holds").waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download the record as it came" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "doc-visit-v1");
    await page.getByRole("button", { name: "Show the latest version" }).click();
    await page.getByText("2 (latest)").waitFor();
    assert.equal(await page.locator("mark").count(), 0);
    assert.deepEqual(faults, []);
    await close();
  });
});

describe("the Operations page", () => {
  for (const [name, options] of [
    ["operations-1280", {}],
    ["operations-390", { viewport: NARROW, colorScheme: "dark" }],
  ]) {
    test(`shows sources and quarantine (${name})`, async () => {
      const { page, faults, close } = await visit(`/operations.html#token=${settings.adminToken ?? settings.token}`, options);
      await page.locator("#as-of time").waitFor();
      const sources = page.locator("#sources-body");
      assert.ok((await sources.locator("table, p").count()) > 0);
      assert.ok((await page.locator("#index-body dd").count()) > 0);
      const quarantine = (await page.locator("#quarantine-body").innerText()).trim();
      if (settings.adminToken) assert.match(quarantine, /Replay|Nothing is in quarantine|Replayed/i);
      else assert.match(quarantine, /no scope/);
      await picture(page, name);
      await assertNoSidewaysScroll(page);
      assert.deepEqual(faults, []);
      await close();
    });
  }

  test("says which sections the token has no scope for", onMock, async () => {
    const { page, faults, close } = await visit("/operations.html#token=demo-clinician");
    await page.locator("#as-of time").waitFor();
    assert.equal(await page.getByText("This token has no scope for this section").count(), 3);
    assert.equal(await page.getByRole("button", { name: "Reindex all…" }).count(), 0);
    assert.deepEqual(faults, []);
    await close();
  });

  test("replays a quarantined record and says what came of it", onMock, async () => {
    const { page, faults, close } = await visit("/operations.html#token=demo-admin");
    await page.getByRole("button", { name: "Replay Malformed json from lab" }).click();
    await page.getByText("The record is still held: Malformed json.").waitFor();
    await page.getByRole("button", { name: "Replay Unknown patient from claims" }).click();
    await page.getByText("The record from claims was replayed.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Replay Unknown patient from claims" }).count(), 0);
    assert.deepEqual(faults, []);
    await close();
  });

  test("reindexes after a confirmation and follows the job", onMock, async () => {
    const { page, faults, close } = await visit("/operations.html#token=demo-admin");
    await page.getByRole("button", { name: "Reindex all…" }).click();
    await page.keyboard.press("Escape");
    assert.equal(await page.getByRole("button", { name: "Cancel reindexing all" }).count(), 0);
    await page.getByRole("button", { name: "Reindex all…" }).click();
    await picture(page, "confirm-1280", false);
    await page.getByRole("button", { name: "Reindex all", exact: true }).click();
    await page.getByText("5 of 12 (41%)").waitFor();
    await picture(page, "job-1280");
    await page.getByText("12 of 12 (100%)").waitFor();
    await page.getByRole("button", { name: "Reindex all…" }).click();
    await page.getByRole("button", { name: "Reindex all", exact: true }).click();
    await page.getByRole("button", { name: "Cancel reindexing all" }).click();
    await page.getByText("Cancelled").waitFor();
    assert.deepEqual(faults, []);
    await close();
  });
});
