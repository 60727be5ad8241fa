// Recordings from the first sample to the receipt: switched, sealed, kept in a bucket, read in parts, deleted.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { amplitude, readWav, stretchOf, tone, wav } from "../lib/audio.js";
import { Console } from "../lib/console.js";
import { facts } from "../lib/ledger.js";
import { freePort } from "../lib/ports.js";
import { Program, run } from "../lib/processes.js";
import { python } from "../lib/python.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const AGENT_HZ = 700;

/** A caller who talks with an agent: he says 440 Hz. */
async function talks(scene, from, phone) {
  const caller = await scene.userAgent({ from });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { times: phone.count("CALL_ESTABLISHED") + 1, within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(AGENT_HZ, 1, 40_000);
  return caller;
}

const seconds = (n) => new Promise((resolve) => setTimeout(resolve, n * 1000));

scene("recording is switched off and on, the agent holds, and the sealed file reads in any part", async (scene) => {
  const { server } = scene;
  const owner = await Console.of(server);
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await talks(scene, "+421900000801", phone);
  const running = (await owner.get("/calls")).items.find((call) => call.external === "+421900000801");
  assert.equal(running.recording.state, "running");
  assert.ok(running.maySwitchRecording);
  const began = Date.now();

  await scene.step("what is said while it is off is not kept", async () => {
    assert.equal((await owner.change("PUT", `/calls/${running.id}/recording`, { on: false })).status, 202);
    await until("the pause", async () => (await owner.get("/calls")).items[0].recording.state === "paused");
    caller.audio.play(tone(1300, 1));
    await seconds(2);
    caller.audio.play(tone(440, 1));
    await seconds(0.5);
    assert.equal((await owner.change("PUT", `/calls/${running.id}/recording`, { on: true })).status, 202);
  });
  await scene.step("while the agent holds, the caller hears music", async () => {
    await seconds(1);
    phone.command("hold");
    await until("the hold", async () => (await facts(server)).some((fact) => fact.type === "leg_held"));
    await until("music in place of the agent", () => {
      const heard = Int16Array.from(caller.audio.heard.slice(-4000));
      return amplitude(heard, AGENT_HZ) < 0.02 && heard.some((sample) => Math.abs(sample) > 1000);
    });
    await seconds(1);
    phone.command("resume");
    await until("the return", async () => (await facts(server)).some((fact) => fact.type === "leg_retrieved"));
    await caller.audio.hearsTone(AGENT_HZ, 0.5);
  });
  const talked = (Date.now() - began) / 1000;
  await caller.hangup();
  const call = await server.endedCall("+421900000801");
  const sealed = path.join(server.data, "recordings");
  await until("the recording to be sealed", async () => (await run("find", [sealed, "-name", "*.sealed"])).stdout.trim() !== "");
  assert.equal((await run("find", [sealed, "-name", "*.wav"])).stdout.trim(), "", "the plain file is gone");

  const whole = await owner.bytes(`/calls/${running.id}/recording`);
  const { channels, seconds: length } = readWav(whole.bytes);
  await scene.step("both sides are there, without the pause", async () => {
    assert.ok(stretchOf(channels[0], 440, 0.8) && stretchOf(channels[1], AGENT_HZ, 0.8));
    for (let at = 0; at + 800 <= channels[0].length; at += 800) {
      assert.ok(amplitude(channels[0].subarray(at, at + 800), 1300) < 0.1, `1300 Hz at ${at / 8000} s`);
    }
    const pause = (await facts(server)).filter((fact) => /^recording_(paused|resumed)$/.test(fact.type));
    const off = (pause[1].at - pause[0].at) / 1000;
    const answered = (await facts(server)).find((fact) => fact.type === "recording_started").at;
    const ended = (await facts(server)).find((fact) => fact.type === "leg_ended" && fact.leg === 1).at;
    assert.ok(Math.abs(length - ((ended - answered) / 1000 - off)) < 0.2, `${length} s of ${(ended - answered) / 1000} s with ${off} s off (${talked} s)`);
    assert.ok(Number(call.Cdr.talking_time) >= 4);
    const held = (await facts(server)).filter((fact) => /^leg_(held|retrieved)$/.test(fact.type));
    assert.equal(held.length, 2);
    const detail = (await server.cloudtalk("GET", `/calls/${call.Cdr.id}`)).json;
    assert.ok(JSON.stringify(detail).includes("audio_quality"));
  });
  await scene.step("ranges, one channel and other programs", async () => {
    const part = await owner.bytes(`/calls/${running.id}/recording`, "bytes=1000-70000");
    assert.deepEqual([part.status, part.bytes], [206, whole.bytes.subarray(1000, 70_001)]);
    const mono = await server.cloudtalk("GET", `/calls/recording/${call.Cdr.id}.json?channels=1`);
    const files = { stereo: whole.bytes, mono: mono.bytes };
    for (const [name, bytes] of Object.entries(files)) {
      const file = path.join(server.folder, `${name}.wav`);
      await fs.writeFile(file, bytes);
      for (const [program, ...rest] of [["sox", file, "-n", "stat"], ["ffmpeg", "-v", "error", "-i", file, "-f", "null", "-"]]) {
        const read = await run(program, rest);
        assert.equal(read.code, 0, `${program} ${name}: ${read.stderr}`);
        assert.doesNotMatch(read.stderr, /WARN|rror/, `${program} ${name}`);
      }
    }
    assert.equal(readWav(mono.bytes).channels.length, 1);
    const peaks = await owner.get(`/calls/${running.id}/recording/peaks`);
    assert.deepEqual([peaks.channels.length, peaks.channels[0].length], [2, 400]);
    assert.ok(Math.abs(peaks.durationMs / 1000 - length) < 0.01);
  });
  await scene.step("what is deleted leaves a receipt", async () => {
    assert.equal((await owner.change("DELETE", `/calls/${running.id}/recording`)).status, 204);
    assert.equal((await server.recording(call.Cdr.id)).status, 410);
    assert.equal((await run("find", [sealed, "-type", "f"])).stdout.trim(), "");
    const receipts = await owner.get("/recording-receipts");
    assert.deepEqual([receipts.total, receipts.items[0].call], [1, running.id]);
  });
});

scene("an uploaded sound is what callers hear", async (scene) => {
  const { server } = scene;
  const owner = await Console.of(server);
  const added = await owner.change("POST", "/sounds?name=Greeting", wav(tone(620, 2)));
  assert.equal(added.status, 201, added.text);
  const broken = await owner.change("POST", "/sounds?name=Broken", Buffer.from("no sound at all"));
  assert.deepEqual([broken.status, broken.json.error.code], [422, "invalid"]);
  const { items } = await owner.get("/sounds");
  assert.deepEqual(items.map(({ name, durationMs }) => [name, durationMs]), [["Greeting", 2000]]);
  const heard = readWav((await owner.bytes(`/sounds/${items[0].id}/audio`)).bytes);
  assert.equal(heard.rate, 16_000);
});

/** A bucket of a service that speaks S3, on this machine. */
async function bucket(scene) {
  const { bin, why } = await python("moto[server]==5.*");
  if (why) return { why };
  const port = await freePort();
  const program = new Program("moto_server", path.join(bin, "moto_server"), ["-H", "127.0.0.1", "-p", String(port)]);
  scene.adds({ program, outlivesServer: true, close: () => program.stop("SIGKILL") });
  const url = `http://127.0.0.1:${port}`;
  await until("the bucket's service", async () => (await fetch(`${url}/moto-api/`)).ok, { within: 30_000 });
  return { url };
}

const env = {};

scene("recordings go to a bucket once it can be reached, and are read and deleted there", async (scene) => {
  if (scene.why) return scene.t.skip(scene.why);
  const { server } = scene;
  const objects = async () => (await (await fetch(`${scene.bucket}/calls?list-type=2`)).text()).match(/<Key>[^<]*<\/Key>/g) ?? [];
  const owner = await Console.of(server);
  const phone = await scene.phone("1001", { frequency: AGENT_HZ });
  const caller = await talks(scene, "+421900000811", phone);
  await seconds(1);
  await caller.hangup();
  const call = await server.endedCall("+421900000811");
  // There is no such bucket yet: the recording waits, says why, and plays.
  const waiting = await until("the failure to be told", async () => {
    const receipts = await owner.get("/recording-receipts");
    return receipts.problem && receipts;
  }, { within: 30_000 });
  assert.equal(waiting.waiting, 1);
  const before = await server.recording(call.Cdr.id);
  assert.equal(before.status, 200);
  assert.equal((await fetch(`${scene.bucket}/calls`, { method: "PUT" })).status, 200);
  // A restart forgets nothing and tries what is due.
  await server.program.stop("SIGKILL");
  await server.boot();
  const kept = await until("the recording to be in the bucket", async () => {
    const keys = await objects();
    return keys.length === 1 && (await run("find", [path.join(server.data, "recordings"), "-type", "f"])).stdout.trim() === "" && keys;
  }, { within: 60_000, every: 500 });
  assert.match(kept[0], /<Key>north\/.*\.wav\.sealed<\/Key>/);
  assert.deepEqual((await server.recording(call.Cdr.id)).bytes, before.bytes);
  assert.equal((await server.cloudtalk("DELETE", `/recordings/delete/${call.Cdr.id}.json`)).status, 200);
  assert.deepEqual(await objects(), []);
}, {
  env,
  data: async (folder, scene) => {
    const { url, why } = await bucket(scene);
    Object.assign(scene, { bucket: url, why });
    Object.assign(env, why ? {} : {
      TRUNKLINE_RECORDINGS_BUCKET: "s3://calls/north", TRUNKLINE_RECORDINGS_ENDPOINT: url, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test",
    });
    return path.join(folder, "data");
  },
});
