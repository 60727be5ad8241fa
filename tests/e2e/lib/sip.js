// Bare SIP, for messages no proper user agent would send. One socket for each exchange, so that a late
// retransmission of one cannot be taken for the answer to another.

import { createHash, randomBytes } from "node:crypto";
import net from "node:net";
import { once } from "node:events";
import { udp } from "./ports.js";
import { deferred, until } from "./until.js";

export class Wire {
  static async open(server) {
    const wire = new Wire();
    wire.server = server.demo.sip;
    wire.socket = await udp(0);
    wire.port = wire.socket.address().port;
    return wire;
  }

  /** The headers a request needs, with what the test changes. A change to `null` leaves the header out. */
  request(method, uri, changes = {}, body = "", startLine = `${method} ${uri} SIP/2.0`) {
    const id = randomBytes(6).toString("hex");
    const headers = {
      Via: `SIP/2.0/UDP 127.0.0.1:${this.port};branch=z9hG4bK${id}`,
      "Max-Forwards": "70",
      From: `<sip:+421900000790@127.0.0.1>;tag=${id}`,
      To: `<${uri}>`,
      "Call-ID": `${id}@127.0.0.1`,
      CSeq: `1 ${method}`,
      Contact: `<sip:test@127.0.0.1:${this.port}>`,
      ...(body ? { "Content-Type": "application/sdp" } : {}),
      "Content-Length": String(Buffer.byteLength(body)),
      ...changes,
    };
    const lines = Object.entries(headers).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}`);
    return [startLine, ...lines, "", body].join("\r\n");
  }

  offer(port = 40_000) {
    return ["v=0", "o=t 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", `m=audio ${port} RTP/AVP 0 101`, "a=rtpmap:101 telephone-event/8000", ""].join("\r\n");
  }

  send(bytes) {
    return new Promise((resolve, reject) => {
      this.socket.send(bytes, this.server.port, this.server.host, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Sends, and gives the first final answer: `{status, reason, headers}`. */
  async ask(bytes, within = 5000) {
    const answer = deferred(`an answer to ${String(bytes).split("\r\n")[0]}`, within);
    const take = (packet) => {
      const parsed = parseMessage(packet.toString("utf8"));
      if (parsed?.status >= 200) answer.resolve(parsed);
    };
    this.socket.on("message", take);
    try {
      await this.send(bytes);
      return await answer.promise;
    } finally {
      this.socket.off("message", take);
    }
  }

  close() {
    this.socket.close();
  }
}

/** A TCP connection on which the test decides where packets end. */
export class Stream {
  static async open(server) {
    const stream = new Stream();
    stream.socket = net.connect(server.demo.sip.port, server.demo.sip.host);
    stream.socket.setNoDelay(true);
    stream.pending = "";
    stream.answers = [];
    stream.socket.on("data", (bytes) => stream.#take(bytes.toString("utf8")));
    stream.socket.on("close", () => (stream.gone = true));
    await Promise.race([once(stream.socket, "connect"), once(stream.socket, "error").then(([error]) => Promise.reject(error))]);
    // A connection the server resets is seen by `gone`.
    stream.socket.on("error", () => {});
    return stream;
  }

  #take(text) {
    this.pending += text;
    for (;;) {
      // RFC 5626 §4.4.1: the answer to a keep-alive.
      this.pending = this.pending.replace(/^(\r\n)+/, "");
      const parsed = parseMessage(this.pending);
      const length = Number(parsed?.headers["content-length"] ?? 0);
      if (!parsed || parsed.body.length < length) return;
      this.pending = parsed.body.slice(length);
      if (parsed.status >= 200) this.answers.push(parsed);
    }
  }

  /** In pieces of so many bytes, each a packet of its own. */
  async send(text, piece = text.length) {
    for (let at = 0; at < text.length; at += piece) {
      await new Promise((resolve) => this.socket.write(text.slice(at, at + piece), resolve));
      await new Promise(setImmediate);
    }
  }

  /** The final answers once there are so many, in the order they came. */
  async hears(count, within = 5000) {
    await until(`${count} answers`, () => this.answers.length >= count, { within }).catch((error) => {
      throw new Error(`${error.message}; there are ${this.answers.map((answer) => answer.status).join(", ") || "none"}${this.gone ? ", and the connection is closed" : ""}`);
    });
    return this.answers;
  }

  close() {
    this.socket.destroy();
  }
}

/** A request or an answer: `{status, reason}` or `{method}`, with `headers` (the first of each name), the lines of its `head` and its `body`. */
export function parseMessage(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [start, ...head] = text.slice(0, end).split("\r\n");
  const status = start.match(/^SIP\/2\.0 (\d{3}) (.*)$/);
  const request = start.match(/^([A-Z]+) \S+ SIP\/2\.0$/);
  if (!status && !request) return undefined;
  const headers = {};
  for (const line of head) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] ??= line.slice(colon + 1).trim();
  }
  const what = status ? { status: Number(status[1]), reason: status[2] } : { method: request[1] };
  return { ...what, headers, head, body: text.slice(end + 4) };
}

/** RFC 8760: a digest with the hash the challenge asks for. */
export function digest(challenge, username, password, method, uri) {
  const value = (name) => challenge.match(new RegExp(`${name}="?([^",]+)`))?.[1];
  const algorithm = value("algorithm") ?? "MD5";
  const hash = (text) => createHash(algorithm.replace("-", "").toLowerCase()).update(text).digest("hex");
  const [realm, nonce, qop] = [value("realm"), value("nonce"), value("qop")];
  const [cnonce, nc] = ["e2e", "00000001"];
  const [a1, a2] = [hash(`${username}:${realm}:${password}`), hash(`${method}:${uri}`)];
  const response = qop ? hash(`${a1}:${nonce}:${nc}:${cnonce}:auth:${a2}`) : hash(`${a1}:${nonce}:${a2}`);
  const more = qop ? `, qop=auth, nc=${nc}, cnonce="${cnonce}"` : "";
  return `Digest username="${username}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=${algorithm}${more}`;
}
