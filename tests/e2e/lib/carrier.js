// A carrier: a registrar that challenges, and a callee behind it that does what the test says. One socket, UDP.

import { createHash, randomBytes } from "node:crypto";
import { udp } from "./ports.js";
import { RtpPeer } from "./rtp.js";
import { parseMessage } from "./sip.js";
import { until } from "./until.js";

const REALM = "carrier.test";
const REASONS = { 100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 401: "Unauthorized", 407: "Proxy Authentication Required", 486: "Busy Here", 487: "Request Terminated", 503: "Service Unavailable", 603: "Decline" };

export class Carrier {
  /**
   * `account` makes it challenge REGISTER and INVITE. `callee` is told of each call and answers it:
   * `answers`, `busy`, `unavailable`, `silent`, `rings`, or a function of the call.
   * @param {{account?: {username: string, password: string}, callee?: string|((call: Call) => void)}} options
   */
  static async open({ account, callee = "answers" } = {}) {
    const carrier = new Carrier();
    carrier.account = account;
    carrier.callee = callee;
    carrier.socket = await udp(0);
    carrier.port = carrier.socket.address().port;
    carrier.registrations = [];
    carrier.calls = [];
    carrier.nonces = new Map();
    carrier.socket.on("message", (packet, from) => carrier.#take(packet.toString("utf8"), from));
    return carrier;
  }

  get server() {
    return `127.0.0.1:${this.port}`;
  }

  #take(text, from) {
    const message = parseMessage(text);
    if (!message) return;
    const uri = text.split(" ")[1];
    if (message.status) {
      this.calls.find((call) => call.id === message.headers["call-id"])?.answered?.(message);
      return;
    }
    const known = this.calls.find((call) => call.id === message.headers["call-id"]);
    switch (message.method) {
      case "OPTIONS":
        return this.respond(message, from, 200);
      case "REGISTER":
        if (!this.#proven(message, uri, from, 401)) return;
        this.registrations.push({ contact: message.headers.contact, expires: message.headers.expires, at: Date.now() });
        return this.respond(message, from, 200, { headers: [`Contact: ${message.headers.contact};expires=${message.headers.expires ?? 60}`] });
      case "INVITE": {
        if (known?.invite.headers.cseq === message.headers.cseq) return known.repeat();
        if (known?.isUp) return known.reinvited(message, from);
        if (!this.#proven(message, uri, from, 407)) return;
        const call = new Call(this, message, uri, from);
        this.calls.push(call);
        void call.begin(this.callee);
        return;
      }
      case "ACK":
        if (known) known.acknowledged = true;
        return;
      case "CANCEL":
        this.respond(message, from, 200);
        return known?.cancelled();
      case "BYE":
        this.respond(message, from, known ? 200 : 481);
        if (known) known.over = "theirs";
        return;
      default:
        return this.respond(message, from, 200);
    }
  }

  /** Whether the request proves who sends it; challenged when not. */
  #proven(message, uri, from, status) {
    if (!this.account) return true;
    const [header, challenge] = status === 401 ? ["authorization", "WWW-Authenticate"] : ["proxy-authorization", "Proxy-Authenticate"];
    const given = message.headers[header];
    const value = (name) => given?.match(new RegExp(`(?:^|[ ,])${name}="?([^",]+)`))?.[1];
    if (given && this.nonces.has(value("nonce"))) {
      const hash = (text) => createHash("md5").update(text).digest("hex");
      const a1 = hash(`${this.account.username}:${REALM}:${this.account.password}`);
      const a2 = hash(`${message.method}:${value("uri")}`);
      const expected = hash(`${a1}:${value("nonce")}:${value("nc")}:${value("cnonce")}:${value("qop")}:${a2}`);
      if (value("username") === this.account.username && value("response") === expected) return true;
    }
    const nonce = randomBytes(8).toString("hex");
    this.nonces.set(nonce, true);
    this.respond(message, from, status, { headers: [`${challenge}: Digest realm="${REALM}", nonce="${nonce}", algorithm=MD5, qop="auth"`] });
    return false;
  }

  respond(request, to, status, { tag, headers = [], body = "" } = {}) {
    const copied = request.head
      .filter((line) => /^(via|from|to|call-id|cseq|record-route):/i.test(line))
      .map((line) => (tag && /^to:/i.test(line) && !/;tag=/i.test(line) ? `${line};tag=${tag}` : line));
    const type = body ? ["Content-Type: application/sdp"] : [];
    this.send([`SIP/2.0 ${status} ${REASONS[status] ?? "Because"}`, ...copied, ...headers, ...type, `Content-Length: ${Buffer.byteLength(body)}`, "", body].join("\r\n"), to);
  }

  send(text, to) {
    if (!this.closed) this.socket.send(text, to.port, to.address, () => {});
  }

  async isRegistered(within = 15_000) {
    await until("the trunk to register", () => this.registrations.length > 0, { within });
  }

  /** The call with this place in the order, once it is there. */
  async call(index = 0, within = 15_000) {
    return until(`call ${index + 1} at the carrier`, () => this.calls[index], { within });
  }

  async close() {
    if (this.closed) return;
    this.closed = true;
    for (const call of this.calls) call.audio?.close();
    this.socket.close();
  }
}

/** A call at the carrier. */
class Call {
  constructor(carrier, invite, uri, from) {
    Object.assign(this, { carrier, invite, uri, from, id: invite.headers["call-id"], tag: randomBytes(4).toString("hex"), cseq: 1, isUp: false });
  }

  /** The called user, as the carrier was told. */
  get user() {
    return this.uri.match(/^sips?:([^@]+)@/)?.[1];
  }

  async begin(callee) {
    this.audio = await RtpPeer.open();
    const [, address] = this.invite.body.match(/^c=IN IP4 (\S+)/m) ?? [];
    const [, port] = this.invite.body.match(/^m=audio (\d+)/m) ?? [];
    this.audio.remote = { address, port: Number(port) };
    this.respond(100);
    if (typeof callee === "function") return callee(this);
    switch (callee) {
      case "answers":
        this.respond(180);
        return this.answer();
      case "busy":
        return this.respond(486);
      case "unavailable":
        return this.respond(503);
      case "rings":
        return this.respond(180);
      case "silent":
        return undefined;
      default:
        throw new Error(`no such callee: ${callee}`);
    }
  }

  get sdp() {
    return ["v=0", "o=carrier 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", `m=audio ${this.audio.port} RTP/AVP 0 101`, "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", ""].join("\r\n");
  }

  respond(status, { body = "", headers = [] } = {}) {
    this.last = () =>
      this.carrier.respond(this.invite, this.from, status, { tag: this.tag, body, headers: [`Contact: <sip:callee@127.0.0.1:${this.carrier.port}>`, ...headers] });
    this.status = status;
    this.last();
  }

  repeat() {
    this.last?.();
  }

  /** Lets itself be heard before the answer. */
  progress() {
    this.respond(183, { body: this.sdp });
  }

  answer() {
    this.isUp = true;
    this.respond(200, { body: this.sdp });
  }

  reinvited(message, from) {
    this.carrier.respond(message, from, 200, { tag: this.tag, body: this.sdp, headers: [`Contact: <sip:callee@127.0.0.1:${this.carrier.port}>`] });
  }

  cancelled() {
    this.over = "cancelled";
    this.respond(487);
  }

  /** The callee hangs up. */
  hangup() {
    const { headers } = this.invite;
    const target = headers.contact.match(/<([^>]+)>/)[1];
    this.cseq += 1;
    this.over = "ours";
    const lines = [
      `BYE ${target} SIP/2.0`, `Via: SIP/2.0/UDP 127.0.0.1:${this.carrier.port};branch=z9hG4bK${randomBytes(6).toString("hex")};rport`, "Max-Forwards: 70",
      `From: ${headers.to};tag=${this.tag}`, `To: ${headers.from}`, `Call-ID: ${this.id}`, `CSeq: ${this.cseq} BYE`, "Content-Length: 0", "", "",
    ];
    this.carrier.send(lines.join("\r\n"), this.from);
  }

  async isOver(within = 15_000) {
    return until("the carrier's call to end", () => this.over, { within });
  }
}
