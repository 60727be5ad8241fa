// A conference room: colleagues dial it, a customer calls its number; everybody hears the others and not himself.

import assert from "node:assert/strict";
import { accessible } from "../lib/accessible.js";
import { amplitude, readWav, tone } from "../lib/audio.js";
import { Person } from "../lib/browser.js";
import { Console } from "../lib/console.js";
import { DeskPhone } from "../lib/desk-phone.js";
import { wholeFacts } from "../lib/ledger.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { until } from "../lib/until.js";

const PIN = "4711";
/** Whole periods in a tenth of a second, none another's harmonic. */
const PITCHES = [410, 530, 650];

/** Keys the PIN in once it is asked for. */
async function enters(audio) {
  await audio.hearsSound();
  for (const key of PIN) audio.press(key);
}

/** The newest half second that somebody heard. */
function latest(audio) {
  return Int16Array.from(audio.heard.slice(-4000));
}

scene("three meet in a room by its extension, its number and its PIN, each with a record of his own", async (scene) => {
  const { server } = scene;
  const console = await Console.of(server);
  const added = await console.change("POST", "/rooms", { name: "Monday", extension: 7, pin: PIN });
  assert.equal(added.status, 201, added.text);
  assert.equal(added.json.dial, "*57");
  assert.equal((await console.change("POST", "/rooms", { name: "Other", extension: 7 })).status, 409);
  await scene.step("an administrator sets rooms up on their page, which says what to dial", async () => {
    const person = await Person.arrives();
    scene.adds({ close: () => person.leaves() });
    const { page } = person;
    await page.goto(server.web);
    await person.signIn(server.demo.console);
    await page.getByRole("link", { name: "Rooms", exact: true }).click();
    await page.getByRole("row").filter({ hasText: "Monday" }).getByText("*57", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Add room" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Name", { exact: true }).fill("Standup");
    await form.getByLabel("PIN", { exact: true }).fill("12");
    await form.getByRole("button", { name: "Add room" }).click();
    await form.getByText(/pin: give 4 to 10 digits/).waitFor();
    await form.getByLabel("PIN", { exact: true }).fill("");
    await person.photographs("room-form");
    await form.getByRole("button", { name: "Add room" }).click();
    await form.waitFor({ state: "hidden" });
    const row = page.getByRole("row").filter({ hasText: "*51" });
    await row.getByText("Standup").waitFor();
    await row.getByRole("button", { name: "Edit Standup" }).click();
    await form.getByLabel("Name", { exact: true }).fill("Review");
    await form.getByLabel("PIN", { exact: true }).fill("998877");
    await form.getByRole("button", { name: "Save" }).click();
    await form.waitFor({ state: "hidden" });
    await row.getByText("998877").waitFor();
    await accessible(person, "rooms");
    await page.getByRole("button", { name: "Remove Review" }).click();
    await form.getByRole("button", { name: "Remove", exact: true }).click();
    await row.waitFor({ state: "detached" });
    assert.deepEqual((await console.get("/rooms")).items.map(({ name }) => name), ["Monday"]);
  });
  const numbers = (await server.cloudtalk("GET", "/numbers/index.json")).json.responseData.data;
  const number = numbers.map(({ CallNumber }) => CallNumber).find(({ caller_id_e164 }) => caller_id_e164 === server.number);
  const led = await server.cloudtalk("POST", `/numbers/edit/${number.id}.json`, { connected_to: 2, source_id: Number(added.json.id) });
  assert.equal(led.status, 200, JSON.stringify(led.json));

  const phones = await Promise.all(["1001", "1002"].map((username) => DeskPhone.start(server, server.agent(username)).then((phone) => scene.adds(phone))));
  const lines = await Promise.all(phones.map((phone) => phone.dial(added.json.dial)));
  const caller = await scene.userAgent({ from: "+421900000841" });
  await caller.isAnswered();
  const audios = [lines[0].audio, lines[1].audio, caller.audio];
  await Promise.all(audios.map(enters));
  await until("three to be in the room", async () => (await console.get("/rooms")).items[0].participants === 3, { within: 30_000 });
  audios.forEach((audio, at) => audio.play(tone(PITCHES[at], 1, 0.2)));
  const hearsOthers = (audio, at) => PITCHES.every((pitch, other) => amplitude(latest(audio), pitch) > 0.1 === (other !== at));
  await until("each to hear the others", () => audios.every(hearsOthers), { within: 15_000 }).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(audios.map((audio) => PITCHES.map((pitch) => amplitude(latest(audio), pitch).toFixed(3))))}`);
  });
  for (const [at, audio] of audios.entries()) assert.ok(amplitude(latest(audio), PITCHES[at]) < 0.01, `${at} hears himself`);

  assert.equal(await lines[1].hangup(), 200);
  await until("the others to hear him no more", () => amplitude(latest(audios[0]), PITCHES[1]) < 0.01 && amplitude(latest(audios[0]), PITCHES[2]) > 0.1);
  assert.equal(await lines[0].hangup(), 200);
  assert.equal(await caller.hangup(), 200);
  const call = await server.endedCall("+421900000841");
  assert.ok(call.Cdr.answered_at, "the time in the room counts as answered");
  assert.ok(Number(call.Cdr.talking_time) >= 1, JSON.stringify(call.Cdr));
  const [said, room] = readWav((await server.recording(call.Cdr.id)).bytes).channels;
  // By its end one of the two others had left.
  assert.deepEqual(PITCHES.map((pitch) => amplitude(said.subarray(-4000), pitch) > 0.05), [false, false, true], "the caller is in the left channel");
  assert.deepEqual(PITCHES.map((pitch) => amplitude(room.subarray(-16_000), pitch) > 0.02), [true, true, false], "what he heard is in the right one");
  const calls = await until("three calls to be over", async () => {
    const calls = await wholeFacts(server).catch(() => undefined);
    return calls?.size === 3 && calls;
  });
  assert.match(await (await fetch(`${server.web}/readyz`)).text(), /^ready\naudio: 99 % at most [\d.]+ ms late/, "the operator reads how punctual that was");
  // What else it finds is this machine's affair.
  const doctor = await run(TRUNKLINE, ["doctor", "--data", server.data]);
  assert.match(doctor.stdout, /^ok {3}a server runs here.*\n(ok  |FAIL) audio: 99 % at most [\d.]+ ms late/, "so does who asks the doctor");
  for (const own of calls.values()) {
    assert.equal(own.filter(({ type, name }) => type === "room_entered" && name === "Monday").length, 1);
    assert.ok(!own.some(({ type }) => type === "digit_pressed"), "the PIN is on no record");
  }
});

scene("a PIN can't be guessed by calling again: strangers find the door shut, colleagues come in", async (scene) => {
  const { server } = scene;
  const console = await Console.of(server);
  const added = await console.change("POST", "/rooms", { name: "Board", extension: 8, pin: PIN });
  assert.equal(added.status, 201, added.text);
  const numbers = (await server.cloudtalk("GET", "/numbers/index.json")).json.responseData.data;
  const number = numbers.map(({ CallNumber }) => CallNumber).find(({ caller_id_e164 }) => caller_id_e164 === server.number);
  const led = await server.cloudtalk("POST", `/numbers/edit/${number.id}.json`, { connected_to: 2, source_id: Number(added.json.id) });
  assert.equal(led.status, 200, JSON.stringify(led.json));
  const calls = async (from, keys) => {
    const caller = await scene.userAgent({ from });
    await caller.isAnswered();
    await caller.audio.hearsSound();
    for (const key of keys) caller.audio.press(key);
    return caller;
  };
  // Four calls with three guesses each.
  const guessing = await Promise.all([0, 1, 2, 3].map((n) => calls(`+42190000085${n}`, "0000".repeat(3))));
  await until("all of them to be hung up on", () => guessing.every((caller) => caller.over), { within: 60_000 });
  assert.match(server.program.log, /too many wrong PINs/, "the operator is told");
  const late = await calls("+421900000855", PIN);
  await until("the right PIN to come too late", () => late.over, { within: 30_000 });
  const phone = scene.adds(await DeskPhone.start(server, server.agent("1001")));
  const line = await phone.dial(added.json.dial);
  await enters(line.audio);
  await until("the colleague to be in the room", async () => (await console.get("/rooms")).items[0].participants === 1, { within: 30_000 });
  assert.equal(await line.hangup(), 200);
});
