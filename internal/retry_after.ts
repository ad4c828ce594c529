/** Parses the Retry-After header. */

const MAX_RETRY_AFTER = 30_000;

const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

/** The three forms of HTTP dates: IMF-fixdate, RFC 850 and asctime. */
const HTTP_DATES = [
  /^[A-Z][a-z]{2}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^[A-Z][a-z]{5,8}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
];

/** Milliseconds to wait, at most 30,000; undefined if the header is invalid. */
export function parseRetryAfter(header: string | null): number | undefined {
  const value = (header ?? "").trim();
  const wait = /^\d+$/.test(value)
    ? Number(value) * 1000
    : parseHttpDate(value) - Date.now();
  return Number.isNaN(wait)
    ? undefined
    : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER);
}

function parseHttpDate(value: string): number {
  for (const form of HTTP_DATES) {
    const { day = "", month = "", year = "", time = "" } =
      form.exec(value)?.groups ?? {};
    const index = MONTHS.indexOf(month) / 3;
    if (!month || !Number.isInteger(index)) continue;
    const number = String(index + 1).padStart(2, "0");
    const date = `${fullYear(Number(year))}-${number}-${day.replace(" ", "0")}`;
    const parsed = new Date(`${date}T${time}Z`);
    // The parser accepts the 31st of shorter months.
    return parsed.getUTCDate() === Number(day) ? parsed.getTime() : NaN;
  }
  return NaN;
}

/** A two-digit year over 50 years ahead is of the last century (RFC 9110). */
function fullYear(year: number): number {
  if (year > 99) return year;
  const now = new Date().getUTCFullYear();
  const full = now - now % 100 + year;
  return full > now + 50 ? full - 100 : full;
}
