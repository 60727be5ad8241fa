// Browsers behind firewalls, and browsers that go away.

import assert from "node:assert/strict";
import { tone } from "../../lib/audio.js";
import { AGENT_HZ, CALLER_HZ, reaches } from "../../lib/browser-scenes.js";
import { Relay } from "../../lib/relay.js";
import { scene } from "../../lib/scene.js";

/** After which voicemail listens. */
const BEEP_HZ = 1000;

scene("a browser that may only go by a TURN server is heard all the same", async (scene) => {
  const relay = scene.adds(await Relay.start(scene.server.folder));
  const phone = await scene.browserPhone("1001", { library: "JsSIP", tone: AGENT_HZ, rtc: { iceServers: [relay.entry], iceTransportPolicy: "relay" } });
  const caller = await reaches(scene, "+421900000931");
  await phone.sees("incoming", { within: 40_000 });
  await phone.does("answer");
  await phone.sees("established");
  caller.audio.play(tone(CALLER_HZ, 1));
  await phone.hears(CALLER_HZ);
  await caller.audio.hearsTone(AGENT_HZ, 1);
  assert.equal((await phone.stats()).candidate, "relay");
  assert.equal(await caller.hangup(), 200);
  await phone.sees("terminated");
}, { ws: true, skip: (await Relay.installed()) ? false : "coturn is not installed" });

scene("a page that dies during a call does not cost the customer: he goes on without the agent", async (scene) => {
  const phone = await scene.browserPhone("1001", { library: "SIP.js", tone: AGENT_HZ });
  const caller = await reaches(scene, "+421900000932");
  await phone.sees("incoming", { within: 40_000 });
  await phone.does("answer");
  await phone.sees("established");
  await caller.audio.hearsTone(AGENT_HZ, 0.5);
  await phone.crashes();
  // Its consent is missed for a while; then voicemail asks for a message after the tone.
  await caller.audio.hearsTone(BEEP_HZ, 0.3, 60_000);
  await caller.hangup();
  const call = await scene.server.endedCall("+421900000932");
  assert.ok(call.Cdr.answered_at, "the agent had answered");
}, { ws: true });
