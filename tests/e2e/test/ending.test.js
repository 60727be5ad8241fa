// What happens to a call when the server ends: by force, and in order.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { readWav, stretchOf, tone } from "../lib/audio.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";

async function talking(scene, from) {
  const phone = await scene.phone("1001");
  const caller = await scene.caller({ from });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(700, 3);
  return { phone, caller };
}

scene("killed in mid-call: after restart the call is listed, ended, and its recording plays", async (scene) => {
  const from = "+421900000711";
  const { phone, caller } = await talking(scene, from);
  await scene.server.program.stop("SIGKILL");
  assert.equal(scene.server.program.outcome.signal, "SIGKILL");
  await caller.close();
  await phone.close();

  await scene.server.boot();
  const call = await scene.server.endedCall(from);
  assert.equal(call.Cdr.recorded, true);
  assert.equal(call.Cdr.hangup_cause, "node_lost");
  const detail = await scene.server.cloudtalk("GET", `/calls/${call.Cdr.id}`);
  assert.equal(detail.status, 200);
  assert.match(scene.server.program.log, /node_lost/, "the server says with which cause it closed the call");
  const recording = await scene.server.recording(call.Cdr.id);
  assert.equal(recording.status, 200);
  const { channels, seconds } = readWav(recording.bytes);
  assert.ok(seconds >= 2, `${seconds} s are left of at least 3`);
  assert.ok(stretchOf(channels[0], 440, 1), "the caller's voice is in it");
  assert.ok(stretchOf(channels[1], 700, 1), "the agent's voice is in it");

  // And the next call works as if nothing had been.
  const next = await talking(scene, "+421900000712");
  await next.caller.hangup();
  await next.caller.ends();
  await scene.server.endedCall("+421900000712");
});

scene("killed before a recording was noted: it is found and plays, and one of no call is put aside", async (scene) => {
  const { server } = scene;
  const from = "+421900000714";
  const { phone, caller } = await talking(scene, from);
  await server.program.stop("SIGKILL");
  await caller.close();
  await phone.close();
  // As if it had died a moment earlier: the file is there, its row is not.
  const forgotten = await run("sqlite3", [path.join(server.data, "trunkline.db"), "delete from recordings; select changes()"]);
  assert.equal(forgotten.stdout.trim(), "1", forgotten.stderr);
  const folder = path.join(server.data, "recordings");
  const [file] = (await fs.readdir(folder, { recursive: true })).filter((name) => name.endsWith(".wav"));
  await fs.copyFile(path.join(folder, file), path.join(folder, path.dirname(file), "99999999901.wav"));

  await server.boot();
  const call = await server.endedCall(from);
  assert.deepEqual([call.Cdr.recorded, call.Cdr.hangup_cause, call.Cdr.recording_error], [true, "node_lost", undefined]);
  const { channels } = readWav((await server.recording(call.Cdr.id)).bytes);
  assert.ok(stretchOf(channels[0], 440, 1) && stretchOf(channels[1], 700, 1), "both voices are in it");
  const aside = await fs.readdir(path.join(folder, "unclaimed"));
  assert.equal(aside.length, 1);
  assert.match(aside[0], /^\d+-\d{4}-\d\d-\d\d-99999999901\.wav$/);
  assert.match(server.program.log, /belong to no call/, "the operator is told");
  const doctor = await run(TRUNKLINE, ["doctor", "--data", server.data]);
  assert.match(doctor.stdout, /FAIL recordings that belong to no call: 1 in /, doctor.stderr);
  assert.ok(stretchOf(readWav(await fs.readFile(path.join(folder, "unclaimed", aside[0]))).channels[0], 440, 1), "it is whole");
});

scene("SIGTERM ends in order: both sides are hung up on and the call is complete", async (scene) => {
  const from = "+421900000713";
  const { phone, caller } = await talking(scene, from);
  scene.server.program.kill("SIGTERM");
  const outcome = await scene.server.program.finish(20_000);
  assert.deepEqual(outcome, { code: 0, signal: null });
  await caller.ends();
  await phone.sees("CALL_CLOSED");

  await scene.server.boot();
  const call = await scene.server.endedCall(from);
  assert.ok(call.Cdr.answered_at);
  assert.doesNotMatch(scene.server.program.log, /node_lost/, "it was not lost, it was ended");
  const { channels } = readWav((await scene.server.recording(call.Cdr.id)).bytes);
  assert.ok(stretchOf(channels[0], 440, 1) && stretchOf(channels[1], 700, 1));
});
