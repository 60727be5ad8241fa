// Disks that are full, servers that are killed twice, and a second server where one runs already.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { readWav, stretchOf, tone } from "../lib/audio.js";
import { facts, wholeFacts } from "../lib/ledger.js";
import { freePort, freeRange } from "../lib/ports.js";
import { Program } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { SmallDisk, noSmallDisk } from "../lib/small-disk.js";
import { until } from "../lib/until.js";

const AGENT_HZ = 700;
const skip = await noSmallDisk();

/** A caller who talks with whoever answers after this key. */
async function talks(scene, from, key = "1", phone) {
  const caller = await scene.userAgent({ from });
  await caller.audio.hearsSound();
  caller.audio.press(key);
  if (phone) await phone.sees("CALL_ESTABLISHED", { times: phone.count("CALL_ESTABLISHED") + 1, within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(AGENT_HZ, 2, 40_000);
  return caller;
}

scene("the disk of recordings fills up: the call goes on, and its record says why", async (scene) => {
  const { server } = scene;
  scene.adds(await SmallDisk.mount(path.join(server.data, "recordings"), "128k"));
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await talks(scene, "+421900000751", "1", phone);
  await until("the recording to fail", async () => (await facts(server)).some((fact) => fact.type === "recording_failed"), { within: 30_000 });
  await caller.audio.hearsTone(AGENT_HZ, 1);
  assert.ok(!caller.over, "the call goes on");
  await caller.hangup();
  const call = await server.endedCall("+421900000751");
  assert.match(call.Cdr.recording_error ?? "", /disk is full/, JSON.stringify(call.Cdr));
  assert.ok(call.Cdr.answered_at);
  const detail = (await server.cloudtalk("GET", `/calls/${call.Cdr.id}`)).json;
  assert.match(JSON.stringify(detail), /disk is full/);
  await scene.step("what fitted is kept, in a file whose head tells the truth", async () => {
    assert.equal(call.Cdr.recorded, true);
    const { channels, seconds } = readWav((await server.recording(call.Cdr.id)).bytes);
    assert.ok(seconds >= 2 && stretchOf(channels[0], 440, 0.5) && stretchOf(channels[1], AGENT_HZ, 0.5), `${seconds} s`);
  });
  await wholeFacts(server);
  assert.doesNotMatch(server.program.log, /panicked/);
}, { skip });

scene("the whole disk is full: the call goes on, and its facts are stored when there is room", async (scene) => {
  const { server } = scene;
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await talks(scene, "+421900000752", "1", phone);
  await scene.disk.fill();
  await caller.audio.hearsTone(AGENT_HZ, 3);
  assert.ok(!caller.over, "the call goes on");
  assert.equal(await caller.hangup(), 200);
  await phone.sees("CALL_CLOSED");
  assert.ok(server.program.running);
  await scene.disk.makeRoom();
  const call = await server.endedCall("+421900000752", 60_000);
  assert.match(call.Cdr.recording_error ?? "", /disk is full/, JSON.stringify(call.Cdr));
  await wholeFacts(server);
  // And the next one is as any other.
  const next = await talks(scene, "+421900000753", "1", phone);
  await next.hangup();
  const after = await server.endedCall("+421900000753");
  assert.deepEqual([after.Cdr.recorded, after.Cdr.recording_error], [true, undefined]);
  assert.doesNotMatch(server.program.log, /panicked/);
}, { skip, data: async (folder, scene) => {
  const data = path.join(folder, "data");
  scene.disk = scene.adds(await SmallDisk.mount(data, "24m"));
  return data;
} });

scene("killed twice in a row with calls in every state: all are listed, ended and whole", async (scene) => {
  const { server } = scene;
  const phones = [await scene.phone("1001", { frequency: AGENT_HZ }), await scene.phone("1003", { frequency: AGENT_HZ })];
  const talking = [await talks(scene, "+421900000761", "1", phones[0]), await talks(scene, "+421900000762", "2", phones[1])];
  // The third waits in the queue, the fourth hears the menu, the fifth has an agent's phone ringing.
  const waiting = await scene.userAgent({ from: "+421900000763" });
  await waiting.audio.hearsSound();
  waiting.audio.press("2");
  const ringing = await scene.phone("1002", { answer: "manual" });
  const fifth = await scene.userAgent({ from: "+421900000764" });
  await fifth.audio.hearsSound();
  fifth.audio.press("1");
  await ringing.sees("CALL_INCOMING", { within: 40_000 });
  const menu = await scene.userAgent({ from: "+421900000765" });
  await menu.audio.hearsSound();
  const joined = async () => (await facts(server)).filter((fact) => fact.type === "queue_joined").length;
  await until("all to be queued", async () => (await joined()) === 4);
  const open = (await facts(server)).filter((fact) => fact.type === "started").length;
  assert.equal(open, 5);

  await server.program.stop("SIGKILL");
  for (const agent of [...talking, waiting, fifth, menu]) agent.close();
  for (const phone of [...phones, ringing]) await phone.close();
  // The second kill: while the next start puts things in order, or has just done so.
  const again = new Program("trunkline", TRUNKLINE, server.arguments());
  scene.adds({ program: again, close: () => again.stop("SIGKILL") });
  await until("the second start to begin", () => fs.access(path.join(server.data, "trunkline.db-wal")).then(() => again.log.length > 0 || !again.running));
  await again.stop("SIGKILL");

  await server.boot();
  const listed = await until("all calls to be ended", async () => {
    const calls = await server.calls();
    return calls.length === 5 && calls.every((call) => call.Cdr.ended_at) && calls;
  });
  assert.deepEqual(listed.map((call) => call.Cdr.hangup_cause), listed.map(() => "node_lost"));
  assert.deepEqual(listed.map((call) => call.Cdr.public_external).sort(), ["761", "762", "763", "764", "765"].map((end) => `+421900000${end}`));
  for (const from of ["+421900000761", "+421900000762"]) {
    const call = listed.find((call) => call.Cdr.public_external === from);
    const { channels } = readWav((await server.recording(call.Cdr.id)).bytes);
    assert.ok(stretchOf(channels[0], 440, 0.5) && stretchOf(channels[1], AGENT_HZ, 0.5), `${from} plays`);
  }
  const calls = await wholeFacts(server);
  assert.equal(calls.size, 5);
  const agents = (await server.cloudtalk("GET", "/agents/index.json")).json.responseData.data;
  assert.deepEqual(agents.map(({ Agent }) => Agent.availability_status), agents.map(() => "online"));

  // The agents are free: both are called again.
  const back = [await scene.phone("1001", { frequency: AGENT_HZ }), await scene.phone("1003", { frequency: AGENT_HZ })];
  const next = [await talks(scene, "+421900000766", "1", back[0]), await talks(scene, "+421900000767", "2", back[1])];
  for (const caller of next) await caller.hangup();
  for (const from of ["+421900000766", "+421900000767"]) assert.ok((await server.endedCall(from)).Cdr.answered_at);
  const ids = (await server.calls()).map((call) => call.Cdr.id);
  assert.equal(new Set(ids).size, 7, "no id was given twice");
  await wholeFacts(server);
});

scene("a second server is refused and harms nothing", async (scene) => {
  const { server } = scene;
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await talks(scene, "+421900000771", "1", phone);
  const rtp = await freeRange(20);
  const others = {
    http: `127.0.0.1:${await freePort()}`, sip: `127.0.0.1:${await freePort()}`, "rtp-ports": `${rtp}-${rtp + 19}`,
  };
  const other = path.join(server.folder, "other");
  const cases = {
    "the same data folder": [others, /another trunkline runs on the data folder/],
    "everything the same": [{}, /another trunkline|can't listen/],
    "the same web port": [{ ...others, http: `127.0.0.1:${server.httpPort}`, data: other }, new RegExp(`can't listen on http 127.0.0.1:${server.httpPort}`)],
    "the same SIP port": [{ ...others, sip: `127.0.0.1:${server.sipPort}`, data: other }, new RegExp(`${server.sipPort}`)],
  };
  for (const [what, [changes, says]] of Object.entries(cases)) {
    await scene.step(what, async () => {
      const second = new Program("second", TRUNKLINE, server.arguments(changes), { env: { ...process.env, NO_COLOR: "1" } });
      scene.adds({ program: second, close: () => second.stop("SIGKILL") });
      const { code } = await second.finish(20_000);
      assert.equal(code, 1, second.log);
      assert.match(second.log, says);
    });
  }
  await caller.audio.hearsTone(AGENT_HZ, 1);
  assert.ok(!caller.over, "the running call is not touched");
  await caller.hangup();
  const call = await server.endedCall("+421900000771");
  assert.equal(call.Cdr.hangup_cause, "caller_hangup");
  assert.equal(call.Cdr.recorded, true);
  await wholeFacts(server);
});
