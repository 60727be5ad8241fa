// Chromium, and what a person does in it.

import fs from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";

const ARGS = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export class Person {
  /** `microphone`: a WAV file that is heard in place of a voice, over and over. */
  static async arrives({ microphone } = {}) {
    const person = new Person();
    const voice = microphone ? ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${microphone}`] : [];
    person.browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium", args: [...ARGS, ...voice], headless: true });
    // Nothing fades, so that what a test sees is what stays.
    const context = await person.browser.newContext({ reducedMotion: "reduce" });
    person.page = await context.newPage();
    person.page.setDefaultTimeout(20_000);
    return person;
  }

  /** Fills the sign-in page one is standing on. */
  async signIn({ email, password }) {
    await this.page.getByLabel("Email").fill(email);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  /** From the address the command line printed to the code the page shows. */
  async authorises(url, owner) {
    await this.page.goto(url);
    await this.signIn(owner);
    await this.page.getByRole("button", { name: "Allow" }).click();
    return (await this.page.getByTestId("code").textContent()).trim();
  }

  /** On the connect page of the CloudTalk connector: the one click. */
  async connectsThisPhone() {
    await this.page.getByRole("button", { name: "Connect this phone system" }).click();
    await this.page.getByRole("heading", { name: /connected/i }).waitFor();
  }

  /** Keeps a picture of the page, in the folder E2E_PICTURES names, for people to look at. */
  async photographs(name) {
    const folder = process.env.E2E_PICTURES;
    if (!folder) return;
    await fs.mkdir(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  }

  async leaves() {
    await this.browser.close();
  }
}
