// The patients within reach, fetched page by page and only as far as needed.

import { path, type Client } from "../wire/client";
import type { Patient, PatientPage } from "../wire/shapes";
import { matchingPatients } from "../words/patients";

const PAGE_SIZE = 100;

/** How many pages one search may fetch before it asks the reader whether to go on. */
const PAGES_AT_ONCE = 5;

export class PatientDirectory {
  private readonly patients: Patient[] = [];
  private next: string | null = null;
  private begun = false;
  private loading: Promise<void> | null = null;

  constructor(private readonly client: Client) {}

  get count(): number {
    return this.patients.length;
  }

  get complete(): boolean {
    return this.begun && this.next === null;
  }

  matching(typed: string): Patient[] {
    return matchingPatients(this.patients, typed);
  }

  /** Fetches on until `enough` match, the list ends, or this turn's share of pages is used. */
  async search(typed: string, enough: number): Promise<void> {
    for (let pages = 0; pages < PAGES_AT_ONCE && !this.complete; pages += 1) {
      if (this.matching(typed).length >= enough) return;
      await this.loadMore();
    }
  }

  /** One page more; callers that overlap share the same request. */
  async loadMore(): Promise<void> {
    this.loading ??= this.loadPage().finally(() => (this.loading = null));
    return this.loading;
  }

  private async loadPage(): Promise<void> {
    if (this.complete) return;
    const query = { limit: PAGE_SIZE, cursor: this.next };
    const page = await this.client.read<PatientPage>(path(["patients"], query));
    this.begun = true;
    this.patients.push(...page.patients);
    this.next = page.next;
  }
}
