// Agents pass their customers on: blind, after a second call, and in vain.

import assert from "node:assert/strict";
import { readWav, stretchOf, tone } from "../lib/audio.js";
import { DeskPhone } from "../lib/desk-phone.js";
import { noWrapUp } from "../lib/dialog-runs.js";
import { wholeFacts } from "../lib/ledger.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const BOB_HZ = 1200;

async function deskPhone(scene, username, options) {
  return scene.adds(await DeskPhone.start(scene.server, scene.server.agent(username), options));
}

/** A customer who waits for the sales people. */
async function waits(scene, from) {
  const caller = await scene.userAgent({ from });
  await caller.isAnswered();
  await caller.audio.hearsSound();
  caller.audio.press("1");
  return caller;
}

/** A customer whom 1001 talks with. */
async function talks(scene, from, phone) {
  const caller = await waits(scene, from);
  if (!(phone instanceof DeskPhone)) {
    await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
    return { caller };
  }
  const line = await phone.rung(40_000);
  line.audio.play(tone(700, 1));
  await caller.audio.hearsTone(700, 0.5);
  return { caller, line };
}

function address(scene, user) {
  const { host, port } = scene.server.demo.sip;
  return `sip:${user}@${host}:${port}`;
}

async function details(scene, from) {
  const call = await scene.server.endedCall(from);
  return { call, details: (await scene.server.cloudtalk("GET", `/calls/${call.Cdr.id}`)).json };
}

scene("baresip passes a customer on to a colleague's phone", async (scene) => {
  const anna = await scene.phone("1001", { frequency: 700 });
  const { caller } = await talks(scene, "+421900000751", anna);
  await caller.audio.hearsTone(700, 0.5);
  const bob = await deskPhone(scene, "1002");
  anna.command("transfer", address(scene, "1002"));
  const line = await bob.rung();
  line.audio.play(tone(BOB_HZ, 1));
  await caller.audio.hearsTone(BOB_HZ, 1);
  // He who passed on is done.
  await anna.sees("CALL_CLOSED");
  caller.audio.play(tone(440, 1));
  await line.audio.hearsTone(440, 1);
  assert.equal(await caller.hangup(), 200);
  await line.isOver();
  const { call } = await details(scene, "+421900000751");
  assert.equal(call.Cdr.user_id, String(scene.server.agent("1002").id));
  // What is kept of the call is a conversation that was whole.
  const { channels } = readWav((await scene.server.recording(call.Cdr.id)).bytes);
  assert.ok(stretchOf(channels[1], 700, 0.3) || stretchOf(channels[1], BOB_HZ, 0.5), "the right channel holds an agent");
});

scene("a colleague who is busy: the customer is the agent's again", async (scene) => {
  const anna = await deskPhone(scene, "1001");
  const { caller, line } = await talks(scene, "+421900000752", anna);
  await deskPhone(scene, "1002", { answers: 486 });
  assert.equal(await line.refer(address(scene, "1002")), 202);
  await line.isTold(486);
  assert.deepEqual(line.told, [100, 486]);
  await caller.audio.hearsTone(700, 0.5);
  assert.ok(!line.over && !caller.over);
  // Nobody is called so; the call goes on.
  assert.equal(await line.refer(address(scene, "nobody")), 404);
  await caller.audio.hearsTone(700, 0.5);
  assert.equal(await caller.hangup(), 200);
  await line.isOver();
  const { call } = await details(scene, "+421900000752");
  assert.equal(call.Cdr.user_id, String(scene.server.agent("1001").id));
});

scene("a customer is handed to a colleague after a word with him", async (scene) => {
  const anna = await deskPhone(scene, "1001");
  const { caller, line } = await talks(scene, "+421900000753", anna);
  const bob = await deskPhone(scene, "1002");
  assert.equal(await line.hold(), 200);
  const consultation = await anna.dial("1002");
  await consultation.isUp();
  const bobs = await bob.rung();
  bobs.audio.play(tone(BOB_HZ, 1));
  await consultation.audio.hearsTone(BOB_HZ, 0.5);
  assert.equal(await line.referTo(consultation), 202);
  await line.isTold(200);
  await line.isOver();
  await consultation.isOver();
  await caller.audio.hearsTone(BOB_HZ, 1);
  caller.audio.play(tone(440, 1));
  await bobs.audio.hearsTone(440, 1);
  assert.equal(bobs.requests.filter(({ method }) => method === "INVITE").length, 1, "his phone was told the new way of the audio");
  assert.equal(await bobs.hangup(), 200);
  await caller.isOver();
  const { call } = await details(scene, "+421900000753");
  assert.equal(call.Cdr.user_id, String(scene.server.agent("1002").id));
});

scene("nobody but our own phones passes calls on", async (scene) => {
  const anna = await deskPhone(scene, "1001");
  const { caller } = await talks(scene, "+421900000754", anna);
  // The customer's side is a carrier.
  const refused = await caller.refers(address(scene, "1002"));
  assert.equal(refused, 403);
  await caller.audio.hearsTone(700, 0.5);
  assert.equal(await caller.hangup(), 200);
});

scene("an agent who leaves before his colleague answers leaves nobody alone", async (scene) => {
  const anna = await deskPhone(scene, "1001");
  const { caller, line } = await talks(scene, "+421900000755", anna);
  const bob = await deskPhone(scene, "1002", { answers: false });
  assert.equal(await line.refer(address(scene, "1002")), 202);
  const bobs = await bob.rung();
  assert.equal(await line.hangup(), 200);
  // The caller hears that it rings.
  await caller.audio.hearsSound();
  bob.answer(bobs);
  bobs.audio.play(tone(BOB_HZ, 1));
  await caller.audio.hearsTone(BOB_HZ, 1);
  assert.equal(await caller.hangup(), 200);
  await bobs.isOver();
  await until("no call to be left", async () => (await scene.server.calls()).every((call) => call.Cdr.ended_at), { within: 20_000 });
});

scene("a colleague picks up what rings, and conversations are taken over", async (scene) => {
  const { server } = scene;
  await noWrapUp(server, { aside: ["1002"] });
  const anna = await deskPhone(scene, "1001", { answers: false });
  const bob = await deskPhone(scene, "1002");
  const rings = async (from) => {
    const caller = await waits(scene, from);
    return { caller, annas: await until("her phone to be called", () => anna.lines.findLast((line) => !line.own && !line.over), { within: 40_000 }) };
  };
  await scene.step("by *8 and the extension that rings", async () => {
    const { caller, annas } = await rings("+421900000757");
    assert.equal(await (await bob.dial("*81004")).isRefused(), 480);
    const bobs = await bob.dial("*81001");
    await bobs.isUp();
    await annas.isOver();
    bobs.audio.play(tone(BOB_HZ, 1));
    await caller.audio.hearsTone(BOB_HZ, 0.5);
    assert.equal(await (await bob.dial("*81001")).isRefused(), 480, "nothing rings there any more");
    assert.equal(await bobs.hangup(), 200);
    await caller.isOver();
  });
  const { caller, annas } = await rings("+421900000756");
  await scene.step("what rings is picked up, and rings no more", async () => {
    const stranger = await bob.dial("1001", [`Replaces: ${annas.dialog()}x`, "Require: replaces"]);
    assert.equal(await stranger.isRefused(), 481);
    const bobs = await bob.takes(annas, ";early-only");
    await bobs.isUp();
    await annas.isOver();
    const cancel = annas.requests.find(({ method }) => method === "CANCEL");
    assert.match(cancel.headers.reason, /^SIP;cause=200/, "her phone lists no missed call");
    bobs.audio.play(tone(BOB_HZ, 1));
    await caller.audio.hearsTone(BOB_HZ, 0.5);
    caller.audio.play(tone(440, 1));
    await bobs.audio.hearsTone(440, 0.5);
  });
  await scene.step("a conversation is taken over by another phone of the agent's, then by a colleague", async () => {
    const bobs = bob.lines.findLast((line) => line.up && !line.over);
    const elsewhere = await deskPhone(scene, "1002");
    assert.equal(await (await elsewhere.takes(bobs, ";early-only")).isRefused(), 486);
    const second = await elsewhere.takes(bobs);
    await second.isUp();
    await bobs.isOver();
    second.audio.play(tone(BOB_HZ, 1));
    await caller.audio.hearsTone(BOB_HZ, 0.5);
    const third = await anna.takes(second);
    await third.isUp();
    await second.isOver();
    third.audio.play(tone(700, 1));
    await caller.audio.hearsTone(700, 0.5);
    // What is over is told so, as long as it is remembered.
    assert.equal(await (await elsewhere.takes(bobs)).isRefused(), 603);
    assert.equal(await caller.hangup(), 200);
    await third.isOver();
  });
  await scene.step("the ledger tells who had the call, one after the other", async () => {
    const { call } = await details(scene, "+421900000756");
    assert.equal(call.Cdr.user_id, String(server.agent("1001").id));
    const facts = (await wholeFacts(server)).get(Number(call.Cdr.id));
    const replaced = facts.filter(({ type }) => type === "leg_replaced").map(({ of, agent }) => [of, agent]);
    const [one, two] = ["1001", "1002"].map((username) => server.agent(username).id);
    assert.deepEqual(replaced, [[one, two], [two, two], [two, one]]);
    assert.equal(facts.filter(({ type }) => type === "recording_stopped").length, 3);
  });
});
