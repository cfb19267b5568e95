// Times as text, in the reader's own language and time zone.

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const withYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const DAY = 86_400_000;
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [
  ["day", DAY],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** @param {string} iso */
export const timeOfDay = (iso) => clock.format(new Date(iso));

/** The time without AM or PM, for narrow places. @param {string} iso */
export function shortTime(iso) {
  const parts = clock.formatToParts(new Date(iso)).filter(({ type }) => type !== "dayPeriod");
  const text = parts.map(({ value }) => value).join("");
  return text.trim();
}

/** @param {string} iso */
export const exactTime = (iso) => exact.format(new Date(iso));
/** @param {string} iso */
export const dayKey = (iso) => new Date(iso).toDateString();

/** "Today", "Yesterday", "Monday, November 16", with the year when it is another one. @param {string} iso */
export function dayName(iso, now = new Date()) {
  const date = new Date(iso);
  const days = Math.round((startOfDay(now) - startOfDay(date)) / DAY);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? weekday : withYear).format(date);
}

/** "5 minutes ago", "yesterday". @param {string} iso */
export function ago(iso, now = Date.now()) {
  const passed = now - new Date(iso).getTime();
  for (const [unit, length] of STEPS) {
    if (passed >= length) return relative.format(-Math.floor(passed / length), unit);
  }
  return "just now";
}

/** @param {Date} date */
function startOfDay(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
