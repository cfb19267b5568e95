// Owns how moments are written, in the reader's own language and time zone.

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const withYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const DAY = 86_400_000;
const STEPS = [
  ["day", DAY],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

export const timeOfDay = (iso) => clock.format(new Date(iso));

/** The time without AM or PM, for narrow places. */
export function shortTime(iso) {
  const parts = clock.formatToParts(new Date(iso)).filter(({ type }) => type !== "dayPeriod");
  return parts.map(({ value }) => value).join("").trim();
}

export const exactTime = (iso) => exact.format(new Date(iso));
export const dayKey = (iso) => new Date(iso).toDateString();

/** "Today", "Yesterday", "Monday, November 16", with the year when it is another one. */
export function dayName(iso, now = new Date()) {
  const date = new Date(iso);
  const apart = Math.round((startOfDay(now) - startOfDay(date)) / DAY);
  if (apart === 0) return "Today";
  if (apart === 1) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? weekday : withYear).format(date);
}

/** "5 minutes ago", "yesterday". */
export function ago(iso, now = Date.now()) {
  const passed = now - new Date(iso).getTime();
  for (const [unit, length] of STEPS) {
    if (passed >= length) return relative.format(-Math.floor(passed / length), unit);
  }
  return "just now";
}

function startOfDay(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
