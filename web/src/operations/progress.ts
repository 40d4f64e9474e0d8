// What a job's state means: whether it still moves, and how far it is.

import type { Job } from "../wire/shapes";

export function isActive(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

export function progressWords(job: Job): string {
  if (job.total <= 0) return job.state === "queued" ? "waiting" : `${job.done.toLocaleString("en")} done`;
  const percent = Math.floor((100 * Math.min(job.done, job.total)) / job.total);
  return `${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")} (${percent}%)`;
}

export function targetWords({ target }: Job): string {
  return target.id === undefined ? target.scope : `${target.scope} ${target.id}`;
}
