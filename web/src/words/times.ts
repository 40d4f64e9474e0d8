// Ages and times in words. Times stay in UTC, since a date kept as midnight must not slip by a day.

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;
const YEAR_S = 365.25 * DAY_S;
const MONTH_S = YEAR_S / 12;

const UNITS: [name: string, seconds: number][] = [
  ["year", YEAR_S],
  ["month", MONTH_S],
  ["day", DAY_S],
  ["hour", HOUR_S],
  ["minute", MINUTE_S],
];

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Content older than this gets a warning where it is shown: one year. */
export const OLD_AFTER_S = YEAR_S;

/** A length of time in its largest whole unit, as in `3 years`. */
export function durationWords(seconds: number): string {
  const length = Math.abs(Math.trunc(seconds));
  for (const [name, size] of UNITS) {
    if (length >= size) return counted(Math.floor(length / size), name);
  }
  return counted(length, "second");
}

/** How old something is, as in `3 years old`, or `in 2 days` when its time is yet to come. */
export function ageWords(age_s: number, age: string = durationWords(age_s)): string {
  return age_s < 0 ? `in ${durationWords(age_s)}` : `${age} old`;
}

/** How long ago a moment was, as in `5 minutes ago`. */
export function agoWords(moment: string, now_ms: number): string {
  const seconds = Math.trunc((now_ms - Date.parse(moment)) / 1000);
  if (Number.isNaN(seconds)) return "";
  if (seconds < 0) return `in ${durationWords(seconds)}`;
  return seconds < 5 ? "just now" : `${durationWords(seconds)} ago`;
}

/** An RFC 3339 time as `4 Mar 2021, 13:05 UTC`, or the date alone at exactly midnight. */
export function timeWords(moment: string | null): string {
  if (moment === null) return "not known";
  const time = new Date(moment);
  if (Number.isNaN(time.getTime())) return moment;
  const date = `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]} ${time.getUTCFullYear()}`;
  if (time.getTime() % (DAY_S * 1000) === 0) return date;
  return `${date}, ${twoDigits(time.getUTCHours())}:${twoDigits(time.getUTCMinutes())} UTC`;
}

/** The words for the seconds between two moments, or `null` when either is missing. */
export function delayWords(from: string | null, to: string | null): string | null {
  if (from === null || to === null) return null;
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
  if (Number.isNaN(seconds)) return null;
  return durationWords(Math.max(0, seconds));
}

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
