// A phone in a real browser: SIP.js or JsSIP, unmodified, in headless Chromium.

import http from "node:http";
import path from "node:path";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { until } from "./until.js";

const PAGE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../fixtures/phone-page.js");
const ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
];

let bundled;

async function page() {
  bundled ??= build({ entryPoints: [PAGE], bundle: true, format: "iife", write: false, logLevel: "error" });
  return (await bundled).outputFiles[0].text;
}

export class BrowserPhone {
  /**
   * @param {{library: "SIP.js"|"JsSIP", account: {username: string, password: string}, url: string, domain: string, tone?: number, rtc?: RTCConfiguration, believes?: string, codecs?: string[]}} options
   *   `believes`: the one certificate, by the hash of its key, that it takes although nobody vouches for it.
   */
  static async start({ library, account, url, domain, tone = 700, rtc = {}, believes, codecs }) {
    const phone = new BrowserPhone();
    phone.name = `${account.username} with ${library}`;
    const script = await page();
    // A page from localhost may use the microphone.
    phone.site = http.createServer((_, answer) => answer.setHeader("content-type", "text/html").end(`<!doctype html><meta charset=utf-8><title>Phone</title><script>${script}</script>`));
    phone.site.listen(0, "127.0.0.1");
    await once(phone.site, "listening");
    phone.browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium", args: believes ? [...ARGS, `--ignore-certificate-errors-spki-list=${believes}`] : ARGS, headless: true });
    phone.page = await phone.browser.newPage();
    phone.log = [];
    phone.page.on("console", (message) => phone.log.push(message.text()));
    phone.page.on("pageerror", (error) => phone.log.push(String(error)));
    await phone.page.goto(`http://127.0.0.1:${phone.site.address().port}/`);
    await phone.page.evaluate((options) => window.phone.start(options), { library, tone, url, user: account.username, password: account.password, domain, rtc, codecs });
    return phone;
  }

  /** Answers, holds and so on: the verbs of the page. */
  async does(verb, ...values) {
    // What the libraries return can't leave the page.
    await this.page.evaluate(async ([verb, values]) => void (await window.phone[verb](...values)), [verb, values]);
  }

  async events() {
    return this.page.evaluate(() => window.phone.events);
  }

  async count(type) {
    return (await this.events()).filter((event) => event.type === type).length;
  }

  /** Until it has seen this event `times` times; the last of them. */
  async sees(type, { times = 1, within = 20_000 } = {}) {
    let all = [];
    return until(`${this.name} to see ${type}`, async () => {
      all = await this.events();
      return all.filter((event) => event.type === type)[times - 1];
    }, { within }).catch((error) => {
      throw new Error(`${error.message}; it saw ${all.map(({ type, detail }) => `${type} ${detail}`.trim()).join(", ") || "nothing"}\n${this.log.slice(-20).join("\n")}`);
    });
  }

  async amplitude(frequency) {
    return this.page.evaluate((frequency) => window.phone.amplitude(frequency), frequency);
  }

  /** Until it hears a tone. */
  async hears(frequency, { least = 0.1, within = 15_000 } = {}) {
    let last = 0;
    await until(`${this.name} to hear ${frequency} Hz`, async () => (last = await this.amplitude(frequency)) >= least, { within }).catch(async (error) => {
      throw new Error(`${error.message}; the last amplitude was ${last.toFixed(3)}; ${JSON.stringify(await this.stats().catch(() => "no connection"))}`);
    });
  }

  /** Until a tone is gone. */
  async hearsNot(frequency, { most = 0.02, within = 5000 } = {}) {
    await until(`${this.name} not to hear ${frequency} Hz`, async () => (await this.amplitude(frequency)) <= most, { within });
  }

  async stats() {
    return this.page.evaluate(() => window.phone.stats());
  }

  /** The browser dies without a word. */
  async crashes() {
    await this.page.goto("chrome://crash").catch(() => {});
  }

  async close() {
    await this.browser.close();
    this.site.close();
  }
}
