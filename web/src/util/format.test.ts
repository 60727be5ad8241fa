import { expect, test } from "vitest";
import { duration, instant } from "./format";

test("durations read like a phone's", () => {
  expect(duration(0)).toBe("0:00");
  expect(duration(6_600)).toBe("0:07");
  expect(duration(59_700)).toBe("1:00");
  expect(duration(750_000)).toBe("12:30");
  expect(duration(3_723_000)).toBe("1:02:03");
});

test("instants are shown on the company's clock", () => {
  expect(instant("2026-07-01T22:30:00Z", "Europe/Bratislava", "en-GB")).toBe("2 Jul 2026, 00:30");
});
