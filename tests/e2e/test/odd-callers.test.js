// Callers that do not do what most do: their keys, their codecs, their offers, and phones that hold.

import assert from "node:assert/strict";
import { amplitude, readWav, stretchOf, tone } from "../lib/audio.js";
import { PCMA } from "../lib/rtp.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const AGENT_HZ = 700;

/** A whole call: the menu, a key pressed as the test says, agent 1001, both voices, and the recording. */
async function goesThrough(scene, options, press) {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await scene.userAgent(options);
  await caller.isAnswered();
  await caller.audio.hearsSound();
  await press(caller);
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(AGENT_HZ, 1.5);
  assert.equal(await caller.hangup(), 200);
  const call = await scene.server.endedCall(options.from);
  assert.equal(call.Cdr.user_id, String(scene.server.agent("1001").id));
  const { channels } = readWav((await scene.server.recording(call.Cdr.id)).bytes);
  const [left, right] = [stretchOf(channels[0], 440, 0.5), stretchOf(channels[1], AGENT_HZ, 0.5)];
  assert.ok(left, "the caller's voice is in the left channel");
  assert.ok(right, "the agent's voice is in the right channel");
  return { phone, caller, call, left, right };
}

scene("a key by SIP INFO", async (scene) => {
  await goesThrough(scene, { from: "+421900000731", events: false }, async (caller) => {
    assert.equal(await caller.info("1"), 200);
  });
});

scene("a key by its tones, from a caller without telephone-event", async (scene) => {
  await goesThrough(scene, { from: "+421900000732", events: false }, (caller) => caller.audio.sounds("1"));
});

scene("a key by its tones, although telephone-event was agreed", async (scene) => {
  await goesThrough(scene, { from: "+421900000733", events: true }, (caller) => caller.audio.sounds("1"));
});

scene("a caller that only knows A-law", async (scene) => {
  const { left, right } = await goesThrough(scene, { from: "+421900000734", codec: PCMA }, (caller) => caller.audio.press("1"));
  for (const [samples, own, other] of [[left, 440, AGENT_HZ], [right, AGENT_HZ, 440]]) {
    assert.ok(amplitude(samples, own) > 0.2 && amplitude(samples, other) < 0.01, "the codec was turned without damage");
  }
});

scene("a caller that offers nothing and answers in its ACK", async (scene) => {
  const { caller } = await goesThrough(scene, { from: "+421900000735", lateOffer: true }, (caller) => caller.audio.press("1"));
  const offer = caller.statuses.find(({ method, status }) => method === "INVITE" && status === 200).body;
  assert.match(offer, /m=audio \d+ RTP\/AVP .*\b0\b/, offer);
});

scene("the agent's phone holds and takes back", async (scene) => {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await scene.userAgent({ from: "+421900000736" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(AGENT_HZ, 1);

  phone.command("hold");
  let [heard, since] = [0, 0];
  await until("a second without the agent's voice", () => {
    const last = Int16Array.from(caller.audio.heard.slice(heard));
    if (last.length >= 800 && amplitude(last, AGENT_HZ) > 0.01) since = performance.now();
    heard += last.length;
    since ||= performance.now();
    return performance.now() - since > 1000;
  }, { every: 200 });
  assert.ok(!caller.over, "the call stays up");
  phone.command("resume");
  await caller.audio.hearsTone(AGENT_HZ, 1);
  assert.equal(await caller.hangup(), 200);
  await phone.sees("CALL_CLOSED");
  const call = await scene.server.endedCall("+421900000736");
  assert.ok(call.Cdr.answered_at);
});

scene("the caller holds, takes back, and is still the same call", async (scene) => {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await scene.userAgent({ from: "+421900000737" });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  await caller.audio.hearsTone(AGENT_HZ, 1);
  assert.equal(await caller.says("INVITE", { body: caller.sdp("sendonly") }), 200);
  const held = caller.statuses.findLast(({ method }) => method === "INVITE").body;
  assert.match(held, /a=(recvonly|inactive)/, held);
  assert.equal(await caller.says("INVITE", { body: caller.sdp("sendrecv") }), 200);
  await caller.audio.hearsTone(AGENT_HZ, 1);
  assert.equal(await caller.hangup(), 200);
  assert.ok((await scene.server.endedCall("+421900000737")).Cdr.answered_at);
});

scene("baresip calls as a customer does", async (scene) => {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  // A phone that registers nowhere: what it dials comes from the carrier's network.
  const caller = await scene.softphone("+421900000738", { frequency: 440 });
  const { host, port } = scene.server.demo.sip;
  caller.command("dial", `sip:${scene.server.number}@${host}:${port}`);
  await caller.sees("CALL_ESTABLISHED");
  caller.command("sndcode", "1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  const call = await until("three seconds of talk", async () => {
    const found = (await scene.server.calls()).find((call) => call.Cdr.public_external === "+421900000738");
    return Date.now() - Date.parse(found?.Cdr.answered_at) > 3000 && found;
  }, { every: 500 });
  caller.hangup();
  await phone.sees("CALL_CLOSED");
  const ended = await scene.server.endedCall("+421900000738");
  assert.equal(ended.Cdr.id, call.Cdr.id);
  const { channels } = readWav((await scene.server.recording(ended.Cdr.id)).bytes);
  assert.ok(stretchOf(channels[0], 440, 1), "the caller's voice is in the left channel");
  assert.ok(stretchOf(channels[1], AGENT_HZ, 1), "the agent's voice is in the right channel");
});
