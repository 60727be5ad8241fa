// Speech through the server, scored against what was said by PESQ (ITU-T P.862).

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { RATE, readWav, stretchOf, wav } from "../lib/audio.js";
import { facts } from "../lib/ledger.js";
import { udp } from "../lib/ports.js";
import { run } from "../lib/processes.js";
import { python } from "../lib/python.js";
import { scene } from "../lib/scene.js";

const TEXT =
  "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well. These days a chicken leg is a rare dish.";

// The whole file is one alignment after the other: PESQ looks for the delay by itself, within what is given.
const SCORE = `
import sys, wave, numpy
from pesq import pesq
def read(path):
    with wave.open(path) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype=numpy.int16)
print(pesq(8000, read(sys.argv[1]), read(sys.argv[2]), 'nb'))
`;

/** What is said: speech of flite at 8 kHz, brought to the usual level. */
async function speech(folder) {
  const [raw, file] = [path.join(folder, "raw.wav"), path.join(folder, "speech.wav")];
  for (const command of [["flite", "-voice", "slt", "-t", TEXT, "-o", raw], ["sox", raw, "-r", "8000", "-c", "1", "-b", "16", file, "norm", "-6"]]) {
    const made = await run(command[0], command.slice(1));
    assert.equal(made.code, 0, `${command[0]}: ${made.stderr}`);
  }
  return readWav(await fs.readFile(file)).channels[0];
}

/** A relay between a caller and the server that loses and delays by a seed, as a bad network does. */
async function relay(peer, { loss, jitterMs, seed }) {
  const socket = await udp(0);
  let state = seed;
  // Numerical Recipes' generator: the same losses in each run.
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const late = new Set();
  let server;
  socket.on("message", (packet, from) => {
    const toServer = from.port === peer.port;
    if (!toServer) server ??= from;
    const to = toServer ? server : { port: peer.port, address: "127.0.0.1" };
    if (!to) return;
    // Only what the caller says suffers: that is what is scored.
    if (!toServer) return socket.send(packet, to.port, to.address, () => {});
    if (random() < loss) return;
    const timer = setTimeout(() => { late.delete(timer); socket.send(packet, to.port, to.address, () => {}); }, random() * jitterMs);
    late.add(timer);
  });
  const close = () => { late.forEach(clearTimeout); socket.close(); };
  return { port: socket.address().port, close };
}

/** What a phone played, once it is closed. */
async function played(phone) {
  const name = (await fs.readdir(phone.folder)).find((name) => name.endsWith("dec.wav"));
  assert.ok(name, "the phone kept what it played");
  return readWav(await fs.readFile(path.join(phone.folder, name))).channels[0];
}

/** Lets a caller speak to an agent's phone and scores what the phone played. */
async function scored(scene, from, network) {
  const { server } = scene;
  const { bin, why } = await python("numpy==1.26.4", "pesq==0.0.4");
  if (why) return scene.t.skip(why);
  const said = await speech(server.folder);
  const phone = await scene.phone("1001", { modules: ["plc.so"], jitterBuffer: network ? "3-10" : "1-5" });
  const caller = await scene.userAgent({ from, through: network && ((peer) => relay(peer, network)) });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  await caller.audio.hearsTone(700, 0.5, 20_000);
  await caller.audio.says(said, said.length / RATE);
  caller.audio.playing = undefined;
  await new Promise((resolve) => setTimeout(resolve, 700));
  await caller.hangup();
  await phone.sees("CALL_CLOSED");
  await phone.close();
  const all = await played(phone);
  const [reference, degraded, script] = ["said", "got", "score"].map((name) => path.join(server.folder, name));
  // What came before is silence of the caller: the speech is the last thing the phone heard.
  const begin = all.findIndex((_, at) => at > RATE / 2 && all.subarray(at, at + 80).some((sample) => Math.abs(sample) > 1000));
  await fs.writeFile(reference, wav(said));
  await fs.writeFile(degraded, wav(all.subarray(Math.max(0, begin - RATE / 4))));
  await fs.writeFile(script, SCORE);
  const judged = await run(path.join(bin, "python"), [script, reference, degraded], { within: 60_000 });
  assert.equal(judged.code, 0, judged.stderr);
  const score = Number(judged.stdout);
  scene.t.diagnostic(`PESQ ${score.toFixed(2)}`);
  return score;
}

scene("speech over a clean G.711 path scores 4.0 and more", async (scene) => {
  const score = await scored(scene, "+421900000821");
  assert.ok(score === undefined || score >= 4.0, `PESQ ${score}`);
}, { todo: "not reached yet; the reason is not found" });

scene("speech through 3 % loss and 30 ms jitter scores 3.0 and more", async (scene) => {
  const score = await scored(scene, "+421900000822", { loss: 0.03, jitterMs: 30, seed: 7 });
  assert.ok(score === undefined || score >= 3.0, `PESQ ${score}`);
}, { todo: "not reached yet; the reason is not found" });

scene("a phone that dials the echo test hears itself and then how well that went", async (scene) => {
  const { server } = scene;
  const phone = await scene.phone("1001");
  const { host, port } = server.demo.sip;
  phone.command("dial", `sip:*43@${host}:${port}`);
  await phone.sees("CALL_ESTABLISHED");
  // The prompt takes some seconds; hash ends the test early.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  phone.command("sndcode", "#");
  await phone.sees("CALL_CLOSED", { within: 30_000 });
  await phone.close();
  const heard = await played(phone);
  assert.ok(stretchOf(heard, 700, 1), "it heard its own tone");
  const last = heard.subarray(heard.length - 2 * RATE);
  assert.ok(last.some((sample) => Math.abs(sample) > 1000), "and then the result, spoken");
  const [ended] = (await facts(server)).filter((fact) => fact.type === "leg_measured");
  assert.equal(ended.quality.codec, "PCMU");
  assert.ok(ended.quality.received.mos > 4, JSON.stringify(ended.quality));
});
