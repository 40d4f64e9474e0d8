// One section of the Operations page: where it shows things, and how it fails.

import { showProblem } from "../parts/alert";
import { byId, element, fill } from "../parts/dom";
import { isAbort } from "../wire/problem";

export class Section {
  readonly body: HTMLElement;
  readonly actions: HTMLElement;

  constructor(
    name: string,
    private readonly alert: HTMLElement,
    private readonly news: HTMLElement,
  ) {
    this.body = byId(`${name}-body`, HTMLElement);
    this.actions = byId(`${name}-actions`, HTMLElement);
  }

  /** Says what an action did, also to a screen reader. */
  tell(words: string): void {
    fill(this.news, words);
  }

  /** Runs `work`; a failure is shown and, where nothing stands yet, marked in the section. */
  async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (isAbort(error)) return;
      if (this.body.childElementCount === 0) {
        fill(this.body, element("p", { class: "muted" }, "This section could not be loaded."));
      }
      showProblem(this.alert, error);
    }
  }
}
