// The phone in the console, as an agent uses it: no program, no account to type, one page.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { accessible } from "../lib/accessible.js";
import { RATE, readWav, tone, wav } from "../lib/audio.js";
import { Person } from "../lib/browser.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const CALLER_HZ = 440;
const VOICE_HZ = 700;

scene("an agent takes calls in the console", async (scene) => {
  const { server } = scene;
  // Browsers suppress what never changes as noise, so this voice has pauses.
  const microphone = path.join(server.folder, "voice.wav");
  const words = new Int16Array(RATE);
  words.set(tone(VOICE_HZ, 0.6));
  await fs.writeFile(microphone, wav(words));
  const person = await Person.arrives({ microphone });
  scene.adds({ close: () => person.leaves() });
  const { page } = person;
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  const button = (name) => page.getByRole("button", { name, exact: true });
  const reaches = async (from) => {
    const caller = await scene.userAgent({ from });
    await caller.audio.hearsSound();
    caller.audio.press("1");
    return caller;
  };

  await page.goto(server.web);
  await person.signIn(server.agent("1001").console);
  await button("Phone: off").click();
  await accessible(person, "phone-off");
  await button("Turn the phone on").click();
  await page.getByText("Ready", { exact: true }).waitFor();
  await accessible(person, "phone-ready");

  await scene.step("an incoming call rings with its number, is answered and heard on both sides", async () => {
    const caller = await reaches("+421900000961");
    await button("Answer").waitFor({ timeout: 40_000 });
    await page.getByText("+421900000961", { exact: true }).waitFor();
    await accessible(person, "phone-ringing");
    await button("Answer").click();
    await button("Mute").waitFor();
    caller.audio.play(tone(CALLER_HZ, 1));
    await caller.audio.hearsTone(VOICE_HZ, 0.3);
    await accessible(person, "phone-call");

    await button("Keys").click();
    await button("7").click();
    await until("the key 7", () => caller.audio.pressed.includes("7"));
    await button("Hold").click();
    await page.getByText("On hold").waitFor();
    await button("Resume").click();
    await button("Mute").click();
    await button("Unmute").click();
    await caller.audio.hearsTone(VOICE_HZ, 0.3);

    await page.setViewportSize({ width: 390, height: 844 });
    await person.photographs("phone-call-small");
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wider <= 0, `${wider} px wider than the screen`);
    await page.setViewportSize({ width: 1280, height: 800 });

    await button("Hang up").click();
    await caller.isOver();
    await button("Turn off").waitFor();
    const call = await server.endedCall("+421900000961");
    assert.equal(call.Cdr.user_id, String(server.agent("1001").id));
    const { channels } = readWav((await server.recording(call.Cdr.id)).bytes);
    assert.ok(channels[1].some((sample) => Math.abs(sample) > 1000), "the agent's voice is in the right channel");
  });

  await scene.step("he declines, and the caller waits on", async () => {
    const caller = await reaches("+421900000962");
    await button("Decline").click({ timeout: 60_000 });
    await page.getByLabel("Number or extension").waitFor();
    await caller.hangup();
  });

  await scene.step("his switch turns off calls from queues", async () => {
    await page.getByText("Idle", { exact: true }).click();
    const shown = () => page.evaluate(() => fetch("/console/api/phone").then((answer) => answer.json()));
    await until("the switch to turn", async () => (await shown()).phone.availability === "idle");
  });

  await scene.step("a second tab leaves the phone to the first, or takes it over", async () => {
    const second = await page.context().newPage();
    await second.goto(server.web);
    await second.getByRole("button", { name: "Phone: open in another tab" }).click();
    await second.getByRole("button", { name: "Use it here" }).click();
    await second.getByText("Ready", { exact: true }).waitFor();
    await page.getByText("Your phone is open in another tab or window.").waitFor();
    await second.close();
  });

  await scene.step("nothing it registers with is kept in the browser", async () => {
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.ok(!/password|~\d{10}/.test(kept), kept);
  });

  await scene.step("no page complained", () => assert.deepEqual(troubles, []));
});
