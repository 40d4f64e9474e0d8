// The frame of both pages: asks for a token, shows who it speaks for, then begins the page.

import { Client } from "../wire/client";
import type { Problem } from "../wire/problem";
import type { WhoAmI } from "../wire/shapes";
import { session, takeTokenFromAddress } from "../session";
import { clearProblem, showProblem } from "./alert";
import { button, byId, element, fill } from "./dom";

export type Begin = (client: Client, caller: WhoAmI) => void;

let begun = false;

export function signIn(begin: Begin): void {
  takeTokenFromAddress();
  window.addEventListener("hashchange", () => {
    if (takeTokenFromAddress()) location.reload();
  });
  byId("token-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("token", HTMLInputElement);
    const token = field.value.trim();
    field.value = "";
    if (token === "") return;
    session.keep(token);
    if (begun) location.reload();
    else void start(token, begin);
  });
  const token = session.token();
  if (token === null) askForToken();
  else void start(token, begin);
}

async function start(token: string, begin: Begin): Promise<void> {
  const alert = byId("alert", HTMLElement);
  clearProblem(alert);
  const client = new Client(token, leave);
  try {
    const caller = await client.read<WhoAmI>("/v1/whoami");
    byId("token-form", HTMLFormElement).hidden = true;
    showCaller(caller);
    byId("main", HTMLElement).hidden = false;
    begun = true;
    begin(client, caller);
  } catch (error) {
    askForToken();
    showProblem(alert, error);
  }
}

/** Takes records off the screen and asks again; a page begun once starts over from nothing. */
function leave(problem: Problem): void {
  session.forget();
  if (begun) {
    const main = byId("main", HTMLElement);
    main.hidden = true;
    fill(main);
  }
  askForToken();
  showProblem(byId("alert", HTMLElement), problem);
}

function askForToken(): void {
  fill(byId("caller", HTMLElement), element("span", { class: "muted" }, "No token"));
  byId("token-form", HTMLFormElement).hidden = false;
  byId("token", HTMLInputElement).focus();
}

function showCaller(caller: WhoAmI): void {
  const purpose = caller.purpose === null ? "" : ` · ${caller.purpose}`;
  fill(
    byId("caller", HTMLElement),
    element("span", {}, element("strong", {}, caller.caller), ` · ${caller.tenant}${purpose}`),
    button("Change token", { class: "quiet" }, () => {
      session.forget();
      location.reload();
    }),
  );
}
