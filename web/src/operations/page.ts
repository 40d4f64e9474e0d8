// The Operations page: joins index, sources, jobs, quarantine and findings, each by its scope.

import { clearProblem } from "../parts/alert";
import { byId, fill } from "../parts/dom";
import { moment } from "../parts/labels";
import { signIn } from "../parts/sign_in";
import { showFindings } from "./findings";
import { Jobs } from "./jobs";
import { Quarantine } from "./quarantine";
import { may, showMissingScope, type Operation } from "./scope";
import { Section } from "./section";
import { showFreshness } from "./sources";

signIn((client, caller) => {
  const alert = byId("alert", HTMLElement);
  const asOf = byId("as-of", HTMLElement);
  const section = (name: string) => new Section(name, alert, byId("news", HTMLElement));
  const [index, sources, findings] = [section("index"), section("sources"), section("findings")];
  const [jobsSection, quarantineSection] = [section("jobs"), section("quarantine")];

  const freshness = () => showFreshness(client, index, sources);
  const jobs = new Jobs(client, jobsSection, () => void freshness());
  const quarantine = new Quarantine(client, quarantineSection);
  const scoped: [Operation, Section, () => Promise<void>][] = [
    ["reindex", jobsSection, () => jobs.show()],
    ["quarantine", quarantineSection, () => quarantine.show()],
    ["quality", findings, () => showFindings(client, findings)],
  ];

  async function refresh(): Promise<void> {
    clearProblem(alert);
    const shows = scoped.filter(([operation]) => may(caller, operation)).map(([, , show]) => show());
    await Promise.all([freshness(), ...shows]);
    fill(asOf, "As of ", moment(new Date().toISOString()));
  }

  for (const [operation, { body }] of scoped) {
    if (!may(caller, operation)) showMissingScope(body, operation);
  }
  if (may(caller, "reindex")) jobs.begin();
  byId("refresh", HTMLButtonElement).addEventListener("click", () => void refresh());
  void refresh();
});
