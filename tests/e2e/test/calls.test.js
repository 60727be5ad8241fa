// How calls end when they do not simply go well.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { amplitude, readWav, stretchOf, tone } from "../lib/audio.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

/** After which one speaks. */
const BEEP_HZ = 1000;

scene("nobody registered: the caller leaves a voicemail", async (scene) => {
  const caller = await scene.caller({ from: "+421900000701" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await caller.audio.hearsTone(BEEP_HZ, 0.3, 60_000);
  await caller.audio.says(tone(440, 1), 3);
  await caller.hangup();
  await caller.ends();
  const call = await scene.server.endedCall("+421900000701");
  assert.equal(call.Cdr.is_voicemail, true);
  assert.equal(call.Cdr.answered_at, undefined, "no person answered");
  const missed = await scene.server.cloudtalk("GET", "/calls/index.json?status=missed");
  assert.ok(missed.json.responseData.data.some((item) => item.Cdr.id === call.Cdr.id));
  const message = readWav((await scene.server.recording(call.Cdr.id)).bytes);
  assert.ok(message.channels.some((samples) => stretchOf(samples, 440, 2)), "the message holds what the caller said");
});

scene("the caller gives up while the phone rings: it stops, the call is missed", async (scene) => {
  const phone = await scene.phone("1001", { answer: "manual" });
  const caller = await scene.caller({ from: "+421900000702" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_INCOMING", { within: 40_000 });
  await caller.hangup();
  await caller.ends();
  await phone.sees("CALL_CLOSED");
  assert.equal(phone.count("CALL_ESTABLISHED"), 0);
  const call = await scene.server.endedCall("+421900000702");
  assert.equal(call.Cdr.answered_at, undefined);
  assert.equal(call.Cdr.talking_time, "0");
  assert.equal(call.Cdr.is_voicemail, false);
  const missed = await scene.server.cloudtalk("GET", "/calls/index.json?status=missed");
  assert.deepEqual(missed.json.responseData.data.map((item) => item.Cdr.id), [call.Cdr.id]);
});

scene("the agent hangs up: the caller's call ends and is answered", async (scene) => {
  const phone = await scene.phone("1001");
  const caller = await scene.caller({ from: "+421900000703" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(700, 1);
  phone.hangup();
  // The scenario's other branch: BYE comes from the server.
  await caller.ends();
  const call = await scene.server.endedCall("+421900000703");
  assert.ok(call.Cdr.answered_at);
  assert.equal(call.Cdr.recorded, true);
});

scene("the phone refuses: the next agent of the group rings", async (scene) => {
  const sales = scene.server.demo.sip.agents.filter((agent) => agent.groups.includes("Sales"));
  assert.ok(sales.length >= 2);
  const phones = [];
  for (const agent of sales.slice(0, 2)) phones.push(await scene.phone(agent.username, { answer: "manual" }));
  const caller = await scene.caller({ from: "+421900000704" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  const first = await until("a phone to ring", () => phones.find((phone) => phone.count("CALL_INCOMING") > 0), { within: 40_000 });
  const second = phones.find((phone) => phone !== first);
  assert.equal(second.count("CALL_INCOMING"), 0, "one at a time");
  first.hangup();
  await second.sees("CALL_INCOMING", { within: 20_000 });
  second.command("accept");
  await second.sees("CALL_ESTABLISHED");
  await caller.audio.hearsTone(700, 0.5);
  await caller.hangup();
  await caller.ends();
  const call = await scene.server.endedCall("+421900000704");
  const answered = sales.find((agent) => agent.username === second.username);
  assert.equal(call.Cdr.user_id, String(answered.id));
});

scene("key 2 leads to Support, and two calls at once stay apart", async (scene) => {
  const support = scene.server.demo.sip.agents.find((agent) => agent.groups.includes("Support"));
  const phones = [await scene.phone("1001", { frequency: 700 }), await scene.phone(support.username, { frequency: 900 })];
  const callers = [await scene.caller({ from: "+421900000705" }), await scene.caller({ from: "+421900000706" })];
  await Promise.all(callers.map((caller) => caller.audio.hearsSound()));
  callers[0].audio.press("1");
  callers[1].audio.press("2");
  await Promise.all(phones.map((phone) => phone.sees("CALL_ESTABLISHED", { within: 40_000 })));
  callers[0].audio.play(tone(440, 1));
  callers[1].audio.play(tone(550, 1));
  await Promise.all([callers[0].audio.hearsTone(700, 1), callers[1].audio.hearsTone(900, 1)]);
  await Promise.all(callers.map((caller) => caller.hangup()));
  await Promise.all(callers.map((caller) => caller.ends()));
  for (const [from, own, others] of [["+421900000705", [440, 700], [550, 900]], ["+421900000706", [550, 900], [440, 700]]]) {
    const call = await scene.server.endedCall(from);
    const { channels } = readWav((await scene.server.recording(call.Cdr.id)).bytes);
    channels.forEach((samples, channel) => {
      const stretch = stretchOf(samples, own[channel], 0.5);
      assert.ok(stretch, `${from}: ${own[channel]} Hz is in channel ${channel}`);
      for (const other of others) assert.ok(amplitude(stretch, other) < 0.01, `${from}: ${other} Hz belongs to the other call`);
    });
  }
});

scene("no recording can be written: the call goes on, and says so", async (scene) => {
  // A file where the folder of recordings should be fails every attempt to write, for root too.
  const folder = path.join(scene.server.data, "recordings");
  await fs.rm(folder, { recursive: true, force: true });
  await fs.writeFile(folder, "");
  const phone = await scene.phone("1001");
  const caller = await scene.caller({ from: "+421900000707" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  await caller.audio.hearsTone(700, 1);
  await caller.hangup();
  await caller.ends();
  const call = await scene.server.endedCall("+421900000707");
  assert.ok(call.Cdr.answered_at);
  assert.equal(call.Cdr.recorded, false);
  assert.equal(call.Cdr.recording_link, undefined);
  assert.ok(call.Cdr.recording_error, JSON.stringify(call.Cdr));
  assert.equal((await scene.server.recording(call.Cdr.id)).status, 404);
  assert.match(scene.server.program.log, /a recording failed/);
});
