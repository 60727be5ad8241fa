// Every codec between real phones: a tone from each side arrives at the other and in its channel of the recording;
// encrypted audio stays encrypted on the wire.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import path from "node:path";
import { RATE, readWav, stretchOf, tone } from "../../lib/audio.js";
import { freePort } from "../../lib/ports.js";
import { PCMA, PCMU } from "../../lib/rtp.js";
import { scene } from "../../lib/scene.js";
import { until } from "../../lib/until.js";

const AGENT_HZ = 700;
const [G722, OPUS] = ["G722/16000/1", "opus/48000/1"];
const CALLER_HZ = 440;

/** Both voices in the recording of the call from this number, each in its channel alone. */
async function isRecorded(scene, from) {
  const call = await scene.server.endedCall(from);
  const { channels } = readWav((await scene.server.recording(call.Cdr.id)).bytes);
  for (const [channel, own, other] of [[0, CALLER_HZ, AGENT_HZ], [1, AGENT_HZ, CALLER_HZ]]) {
    assert.ok(stretchOf(channels[channel], own, 0.8), `${own} Hz is in channel ${channel}`);
    assert.ok(!stretchOf(channels[channel], other, 0.3, 0.02), `${other} Hz is not in channel ${channel}`);
  }
}

/** A call from a scripted caller to agent 1001, whose phone has these options. */
async function fromScript(scene, from, codec, options) {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ, ...options });
  const caller = await scene.userAgent({ from, codec });
  await caller.isAnswered();
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(CALLER_HZ, 1));
  await caller.audio.hearsTone(AGENT_HZ, 1.5);
  assert.equal(await caller.hangup(), 200);
  await phone.sees("CALL_CLOSED");
  await isRecorded(scene, from);
  await heard(phone, CALLER_HZ);
  await phone.close();
}

/** A call from a baresip to agent 1001's. */
async function fromPhone(scene, from, callers, agents) {
  const phone = await scene.phone("1001", { frequency: AGENT_HZ, ...agents });
  const caller = await scene.softphone(from, { frequency: CALLER_HZ, ...callers });
  caller.dial(scene.server.number);
  await caller.sees("CALL_ESTABLISHED");
  // The menu is listened to only once its greeting has begun.
  await until("the key to be understood", async () => {
    caller.press("1");
    return phone.count("CALL_ESTABLISHED") > 0;
  }, { every: 1500, within: 40_000 });
  return { phone, caller };
}

async function talks(scene, from, { phone, caller }) {
  await until("both to have talked", () => ago(phone, "CALL_ESTABLISHED", 4000));
  caller.hangup();
  await phone.sees("CALL_CLOSED");
  await isRecorded(scene, from);
  await heard(phone, CALLER_HZ);
  await heard(caller, AGENT_HZ);
  await Promise.all([phone.close(), caller.close()]);
}

/** Whether this phone saw the event so long ago. */
function ago(phone, type, ms) {
  const event = phone.events.find((event) => event.type === type);
  event.seen ??= performance.now();
  return performance.now() - event.seen > ms;
}

/** The tone is in what the phone decoded for its owner. */
async function heard(phone, frequency) {
  await phone.close();
  const file = (await fs.readdir(phone.folder)).find((name) => name.endsWith("-dec.wav"));
  const { channels, rate } = readWav(await fs.readFile(path.join(phone.folder, file)));
  // The tone is looked for on a clock of 8 kHz.
  const clock = RATE / rate;
  assert.ok(stretchOf(channels[0], frequency * clock, 0.8 / clock), `${phone.username} heard ${frequency} Hz`);
}

scene("codecs of both sides", async (scene) => {
  await scene.step("µ-law calls a phone that knows G.722 only", () => fromScript(scene, "+421900000801", PCMU, { codecs: G722 }));
  await scene.step("A-law calls a phone that knows Opus only", () => fromScript(scene, "+421900000802", PCMA, { codecs: OPUS }));
  const pairs = [[OPUS, OPUS], [G722, G722], [OPUS, G722], [G722, "pcma"]];
  for (const [at, [callers, agents]] of pairs.entries()) {
    const from = `+42190000081${at}`;
    await scene.step(`${callers} calls ${agents}`, async () => {
      await talks(scene, from, await fromPhone(scene, from, { codecs: callers }, { codecs: agents }));
    });
  }
});

const mayCapture = process.getuid?.() === 0 && spawnSync("tshark", ["--version"]).status === 0;

scene("encrypted audio, required", async (scene) => {
  await scene.step("a clear offer is refused", async () => {
    const caller = await scene.userAgent({ from: "+421900000820" });
    await caller.isOver();
    assert.equal(caller.statuses.at(-1).status, 488);
  });
  await scene.step("phones that insist on it hear each other, and nobody else does", async (t) => {
    const capture = mayCapture && (await Capture.start(scene));
    const from = "+421900000821";
    const both = await fromPhone(scene, from, { encryption: "srtp-mand" }, { encryption: "srtp-mand" });
    await talks(scene, from, both);
    if (!capture) return scene.t.diagnostic("not captured: needs root and tshark");
    const packets = await capture.packets();
    assert.ok(packets.length > 200, `${packets.length} packets were captured`);
    for (const payload of packets) {
      const windows = new Set();
      for (let at = 0; at + 4 <= payload.length; at++) windows.add(payload.readUInt32BE(at));
      // Clear µ-law of a tone or of silence repeats itself.
      assert.ok(windows.size > payload.length - 12, "a payload on the wire is readable");
    }
  });
}, { env: { TRUNKLINE_SRTP: "required", TRUNKLINE_SRTP_KEYS_IN_CLEAR: "yes" } });

// The listener of phones is held to encryption, the one of the carriers beside it is not.
const listeners = {};

scene("encrypted audio, required at one listener", async (scene) => {
  await scene.step("a clear offer is refused there and taken at the other", async () => {
    const refused = await scene.userAgent({ from: "+421900000823" });
    await refused.isOver();
    assert.equal(refused.statuses.at(-1).status, 488);
    const taken = await scene.userAgent({ from: "+421900000824", at: listeners.clear });
    await taken.isAnswered();
    assert.equal(await taken.hangup(), 200);
  });
}, {
  env: async ({ sipPort }) => {
    listeners.clear = await freePort();
    return {
      TRUNKLINE_SRTP_KEYS_IN_CLEAR: "yes", TRUNKLINE_SIP_LISTENERS: `udp 127.0.0.1:${listeners.clear}`, TRUNKLINE_SRTP_LISTENERS: `udp 127.0.0.1:${sipPort} required`,
    };
  },
});

scene("encrypted audio, where the caller asks for it", async (scene) => {
  const from = "+421900000822";
  await talks(scene, from, await fromPhone(scene, from, { encryption: "srtp" }, {}));
});

/** What passes over loopback to and from the server's audio ports. */
class Capture {
  static async start(scene) {
    const capture = new Capture();
    capture.file = path.join(scene.server.folder, "audio.pcap");
    const { rtpFirst, options } = scene.server;
    const ports = `udp portrange ${rtpFirst}-${rtpFirst + options.rtpPorts - 1}`;
    capture.process = spawn("tshark", ["-i", "lo", "-f", ports, "-w", capture.file], { stdio: ["ignore", "ignore", "pipe"] });
    scene.adds({ close: () => capture.process.kill() });
    let said = "";
    capture.process.stderr.on("data", (text) => (said += text));
    await until("tshark to capture", () => /Capturing on/.test(said));
    return capture;
  }

  /** The payloads of all packets with audio in them. */
  async packets() {
    this.process.kill("SIGINT");
    await once(this.process, "exit");
    const read = spawnSync("tshark", ["-r", this.file, "-T", "fields", "-e", "udp.payload"], { maxBuffer: 1 << 28 });
    return read.stdout.toString().split("\n").filter(Boolean).map((hex) => Buffer.from(hex.replaceAll(":", ""), "hex"))
      // RTP, not RTCP, of a whole frame.
      .filter((packet) => packet[0] >> 6 === 2 && !(packet[1] >= 192 && packet[1] <= 223) && packet.length > 150)
      .map((packet) => packet.subarray(12));
  }
}
