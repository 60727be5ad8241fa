// One end of an audio stream (RFC 3550): sends µ-law frames on time, presses keys (RFC 4733), keeps what it hears.

import { RATE, fromAlaw, fromUlaw, keyTones, stretchOf, toAlaw, toUlaw } from "./audio.js";
import { udp } from "./ports.js";
import { until } from "./until.js";

const FRAME = 160;
const FRAME_MS = 20;
const EVENTS = 101;

/** RFC 3551: payload types, and how each says nothing. */
export const PCMU = { type: 0, encode: toUlaw, decode: fromUlaw, silence: 0xff };
export const PCMA = { type: 8, encode: toAlaw, decode: fromAlaw, silence: 0xd5 };

export class RtpPeer {
  static async open(codec = PCMU) {
    return new RtpPeer(await udp(0), codec);
  }

  constructor(socket, codec) {
    this.socket = socket;
    this.codec = codec;
    this.port = socket.address().port;
    this.heard = [];
    this.heardPackets = 0;
    this.remote = undefined;
    this.sequence = 1000;
    this.timestamp = 160_000;
    this.ssrc = 0x7e57_0001;
    this.playing = undefined;
    this.position = 0;
    this.keys = [];
    /** Keys pressed on the other side, each press once. */
    this.pressed = [];
    socket.on("message", (packet, from) => this.#take(packet, from));
    // Catches up after a late timer, so that the stream keeps its pace on a busy machine.
    this.due = performance.now();
    this.timer = setInterval(() => {
      for (; this.due <= performance.now(); this.due += FRAME_MS) this.#send();
    }, FRAME_MS / 2);
  }

  /** From the next frame on; loops. */
  play(samples) {
    this.position = 0;
    this.playing = Uint8Array.from(samples, this.codec.encode);
  }

  /** Says these samples over and over, until so many seconds of them are sent. */
  async says(samples, seconds) {
    this.play(samples);
    await until(`${seconds} s to be said`, () => this.position >= seconds * RATE, { within: seconds * 1000 + 10_000 });
  }

  /** Presses a key for 100 ms, after those pressed before. */
  press(key) {
    this.keys.push({ event: "0123456789*#".indexOf(key), sent: 0 });
  }

  /** Presses a key as an old telephone does: by sound. */
  async sounds(key) {
    const samples = keyTones(key);
    await this.says(samples, samples.length / RATE);
    this.playing = undefined;
  }

  #take(packet, from) {
    // RTCP and noise share the port.
    if (packet.length < 12 || packet[0] >> 6 !== 2) return;
    this.remote ??= from;
    if ((packet[1] & 0x7f) === EVENTS) return this.#event(packet);
    if ((packet[1] & 0x7f) !== this.codec.type) return;
    this.heardPackets += 1;
    for (const byte of packet.subarray(12 + (packet[0] & 0x0f) * 4)) this.heard.push(this.codec.decode(byte));
  }

  /** All packets of a press have its timestamp. */
  #event(packet) {
    const timestamp = packet.readUInt32BE(4);
    if (this.lastEvent === timestamp) return;
    this.lastEvent = timestamp;
    this.pressed.push("0123456789*#ABCD"[packet[12]]);
  }

  #packet(type, marker, timestamp, payload) {
    const head = Buffer.alloc(12);
    head[0] = 0x80;
    head[1] = (marker ? 0x80 : 0) | type;
    head.writeUInt16BE(this.sequence++ & 0xffff, 2);
    head.writeUInt32BE(timestamp >>> 0, 4);
    head.writeUInt32BE(this.ssrc, 8);
    // A stream that ended meanwhile is no error of the sender.
    this.socket.send(Buffer.concat([head, payload]), this.remote.port, this.remote.address, () => {});
  }

  #send() {
    if (!this.remote || this.closed) return;
    const key = this.keys[0];
    if (key) {
      key.timestamp ??= this.timestamp;
      const payload = Buffer.alloc(4);
      payload[0] = key.event;
      // Five packets of growing duration, then three that say it is over (RFC 4733 §2.5.1.4).
      const over = key.sent >= 5;
      payload[1] = (over ? 0x80 : 0) | 10;
      payload.writeUInt16BE(FRAME * Math.min(key.sent + 1, 6), 2);
      this.#packet(EVENTS, key.sent === 0, key.timestamp, payload);
      key.sent += 1;
      if (key.sent === 8) this.keys.shift();
    } else {
      const payload = Buffer.alloc(FRAME, this.codec.silence);
      if (this.playing) {
        for (let n = 0; n < FRAME; n++) payload[n] = this.playing[this.position++ % this.playing.length];
      }
      this.#packet(this.codec.type, false, this.timestamp, payload);
    }
    this.timestamp += FRAME;
  }

  /** Until something louder than silence arrived for this long in all. */
  async hearsSound(seconds = 0.3, within = 20_000) {
    const loud = () => this.heard.reduce((count, sample) => count + (Math.abs(sample) > 500 ? 1 : 0), 0) / RATE;
    await until("sound from the other side", () => loud() >= seconds * 0.2, { within });
  }

  /** Until this tone has arrived without a gap for so long, from now on. */
  async hearsTone(frequency, seconds = 1, within = 30_000) {
    const from = this.heard.length;
    const heard = () => stretchOf(Int16Array.from(this.heard.slice(from)), frequency, seconds);
    await until(`${seconds} s of ${frequency} Hz`, heard, { within });
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    this.socket.close();
  }
}
