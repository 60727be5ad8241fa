// Tones, µ-law, WAV files, and the question which tone is in some samples.

export const RATE = 8000;

/** `seconds` of a sine, 16 bit. */
export function tone(frequency, seconds, level = 0.4) {
  const samples = new Int16Array(Math.round(seconds * RATE));
  for (let n = 0; n < samples.length; n++) {
    samples[n] = Math.round(Math.sin((2 * Math.PI * frequency * n) / RATE) * level * 32767);
  }
  return samples;
}

/** ITU-T G.711 µ-law, by the segment rule. */
export function toUlaw(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32635) + 132;
  const exponent = Math.max(0, Math.floor(Math.log2(magnitude)) - 7);
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

export function fromUlaw(byte) {
  const value = ~byte & 0xff;
  const exponent = (value >> 4) & 7;
  const magnitude = (((value & 0x0f) << 3) + 132) * 2 ** exponent - 132;
  return value & 0x80 ? -magnitude : magnitude;
}

/** ITU-T G.711 A-law: the same segments, even bits inverted, and no bias. */
export function toAlaw(sample) {
  const sign = sample >= 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32767) >> 3;
  const exponent = magnitude < 32 ? 0 : Math.floor(Math.log2(magnitude)) - 4;
  const mantissa = (magnitude >> (exponent === 0 ? 1 : exponent)) & 0x0f;
  return (sign | (exponent << 4) | mantissa) ^ 0x55;
}

export function fromAlaw(byte) {
  const value = byte ^ 0x55;
  const exponent = (value >> 4) & 7;
  const step = ((value & 0x0f) << 1) + 1;
  const magnitude = (exponent === 0 ? step : (step + 32) << (exponent - 1)) << 3;
  return value & 0x80 ? magnitude : -magnitude;
}

/** ITU-T Q.23: the two tones of a key, then a pause. */
export function keyTones(key, seconds = 0.12) {
  const at = "123A456B789C*0#D".indexOf(key);
  const low = tone([697, 770, 852, 941][at >> 2], seconds, 0.2);
  const high = tone([1209, 1336, 1477, 1633][at & 3], seconds, 0.25);
  const samples = new Int16Array(low.length + RATE / 5);
  low.forEach((sample, n) => (samples[n] = sample + high[n]));
  return samples;
}

/** A WAV file of 16-bit channels of one length. */
export function wav(...channels) {
  const frames = channels[0].length;
  const data = Buffer.alloc(frames * channels.length * 2);
  channels.forEach((samples, channel) => {
    for (let n = 0; n < frames; n++) data.writeInt16LE(samples[n], (n * channels.length + channel) * 2);
  });
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels.length, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * channels.length * 2, 28);
  head.writeUInt16LE(channels.length * 2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

/** Reads what `wav` and every recorder write: PCM, 16 bit. Refuses a length that is not that of the file. */
export function readWav(bytes) {
  const tag = (at) => bytes.toString("latin1", at, at + 4);
  if (bytes.length < 44 || tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new Error(`not a WAV file: ${bytes.length} bytes`);
  if (bytes.readUInt32LE(4) + 8 !== bytes.length) throw new Error("the RIFF length is not that of the file");
  let format;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + 4);
    if (tag(at) === "fmt ") {
      format = { code: bytes.readUInt16LE(at + 8), channels: bytes.readUInt16LE(at + 10), rate: bytes.readUInt32LE(at + 12), bits: bytes.readUInt16LE(at + 22) };
    } else if (tag(at) === "data") {
      if (!format || format.code !== 1 || format.bits !== 16) throw new Error(`not 16-bit PCM: ${JSON.stringify(format)}`);
      const frames = Math.floor(size / (2 * format.channels));
      const channels = Array.from({ length: format.channels }, (_, channel) => {
        const samples = new Int16Array(frames);
        for (let n = 0; n < frames; n++) samples[n] = bytes.readInt16LE(at + 8 + (n * format.channels + channel) * 2);
        return samples;
      });
      return { ...format, channels, seconds: frames / format.rate };
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("the WAV file has no data");
}

/** Goertzel: how much of `frequency` is in the samples, as an amplitude of 0…1. */
export function amplitude(samples, frequency) {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / RATE);
  let [before, previous] = [0, 0];
  for (const sample of samples) {
    const now = sample / 32768 + coefficient * previous - before;
    [before, previous] = [previous, now];
  }
  const power = previous ** 2 + before ** 2 - coefficient * previous * before;
  return (2 * Math.sqrt(Math.max(power, 0))) / samples.length;
}

/** The first `seconds` without a gap in which a tone stands, or nothing. */
export function stretchOf(samples, frequency, seconds, least = 0.1) {
  const window = RATE / 10;
  let run = 0;
  for (let at = 0; at + window <= samples.length; at += window) {
    run = amplitude(samples.subarray(at, at + window), frequency) >= least ? run + 1 : 0;
    if (run * 0.1 >= seconds) return samples.subarray(at + window - run * window, at + window);
  }
  return undefined;
}
