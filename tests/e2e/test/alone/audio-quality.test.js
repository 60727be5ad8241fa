// Speech through the server, scored against what was said by PESQ (ITU-T P.862).

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { RATE, fromUlaw, readWav, stretchOf, toUlaw, wav } from "../../lib/audio.js";
import { facts } from "../../lib/ledger.js";
import { udp } from "../../lib/ports.js";
import { run } from "../../lib/processes.js";
import { python } from "../../lib/python.js";
import { scene } from "../../lib/scene.js";

const TEXT =
  "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well. These days a chicken leg is a rare dish.";

// PESQ finds the delay by itself, within what is given: the whole file is one alignment after the other.
const SCORE = `
import sys, wave, numpy
from pesq import pesq
def read(path):
    with wave.open(path) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype=numpy.int16)
said = read(sys.argv[1])
for path in sys.argv[2:]:
    print(pesq(8000, said, read(path), 'nb'))
`;

async function done(command, ...parameters) {
  const made = await run(command, parameters);
  assert.equal(made.code, 0, `${command}: ${made.stderr}`);
}

/**
 * What is said: speech in the band of a telephone, at the usual level. Not every voice of flite can be judged by PESQ: `slt`
 * gets 3.2 against nothing but its own µ-law coding, which this voice passes with 4.4 and more.
 */
async function speech(folder) {
  const [raw, file] = [path.join(folder, "raw.wav"), path.join(folder, "speech.wav")];
  await done("flite", "-voice", "kal16", "-t", TEXT, "-o", raw);
  await done("sox", raw, "-r", "8000", "-c", "1", "-b", "16", file, "highpass", "200", "lowpass", "3400", "norm", "-6");
  return readWav(await fs.readFile(file)).channels[0];
}

/** A party's sound from a moment before it first speaks: what came earlier is silence, and a longer search for the delay. */
function fromFirstWord(samples) {
  const begin = samples.findIndex((_, at) => at > RATE / 2 && samples.subarray(at, at + 80).some((sample) => Math.abs(sample) > 1000));
  return samples.subarray(Math.max(0, begin - RATE / 4));
}

/** The scores of what was heard against what was said, and first the best that G.711 lets through. */
async function scores(folder, said, ...heard) {
  const { bin } = await python("numpy==1.26.4", "pesq==0.0.4");
  const coded = Int16Array.from(said, (sample) => fromUlaw(toUlaw(sample)));
  const all = [said, coded, ...heard.map(fromFirstWord)];
  const paths = all.map((_, at) => path.join(folder, `scored-${at}.wav`));
  await Promise.all(all.map((samples, at) => fs.writeFile(paths[at], wav(samples))));
  const script = path.join(folder, "score.py");
  await fs.writeFile(script, SCORE);
  const judged = await run(path.join(bin, "python"), [script, ...paths], { within: 60_000 });
  assert.equal(judged.code, 0, judged.stderr);
  const [best, ...got] = judged.stdout.trim().split("\n").map(Number);
  assert.ok(best >= 4.4, `this speech can't be judged: its own coding gets ${best}`);
  return got;
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

/** What a phone played, once it is closed, at the rate of a telephone. */
async function played(phone) {
  const name = (await fs.readdir(phone.folder)).find((name) => name.endsWith("dec.wav"));
  assert.ok(name, "the phone kept what it played");
  const file = path.join(phone.folder, "played.wav");
  await done("sox", path.join(phone.folder, name), "-r", `${RATE}`, "-b", "16", file);
  return readWav(await fs.readFile(file)).channels[0];
}

/** Lets a caller speak to an agent's phone: the scores of what the phone played, and of what was recorded of the caller. */
async function scored(scene, { from, network, ...phoneOptions }) {
  const { server } = scene;
  const { why } = await python("numpy==1.26.4", "pesq==0.0.4");
  if (why) return scene.t.skip(why);
  const said = await speech(server.folder);
  const phone = await scene.phone("1001", phoneOptions);
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
  const call = await server.endedCall(from);
  const recorded = readWav((await server.recording(call.Cdr.id)).bytes).channels[0];
  const [heard, kept] = await scores(server.folder, said, await played(phone), recorded);
  scene.t.diagnostic(`PESQ: the phone ${heard.toFixed(2)}, the recording ${kept.toFixed(2)}`);
  return { heard, kept };
}

scene("speech over a clean G.711 path scores 4.0 and more, at the phone and in the recording", async (scene) => {
  const score = await scored(scene, { from: "+421900000821" });
  assert.ok(score === undefined || (score.heard >= 4.0 && score.kept >= 4.0), JSON.stringify(score));
});

// The phone has no G.711, so the jitter and the losses are the server's to even out and to conceal. The recording conceals
// what was lost by itself.
scene("speech through 3 % loss and 30 ms jitter scores 3.0 and more", async (scene) => {
  const score = await scored(scene, { from: "+421900000822", network: { loss: 0.03, jitterMs: 30, seed: 7 }, codecs: "G722" });
  assert.ok(score === undefined || (score.heard >= 3.0 && score.kept >= 3.0), JSON.stringify(score));
});

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
