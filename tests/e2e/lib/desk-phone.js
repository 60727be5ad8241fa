// An agent's phone with two lines and every message in the test's hands: it registers, takes and places calls, holds them,
// and passes them on, blind or after a second call. baresip (lib/phone.js) knows only the blind way.

import { randomBytes } from "node:crypto";
import { udp } from "./ports.js";
import { PCMU, RtpPeer } from "./rtp.js";
import { digest, parseMessage } from "./sip.js";
import { until } from "./until.js";

const random = () => randomBytes(6).toString("hex");

/** One call of the phone. */
class Line {
  constructor(phone, own) {
    Object.assign(this, { phone, own, statuses: [], requests: [], cseq: 1, sent: 0 });
  }

  sdp(direction = "sendrecv") {
    this.sent += 1;
    return [
      "v=0", `o=desk 1 ${this.sent} IN IP4 127.0.0.1`, "s=-", "c=IN IP4 127.0.0.1", "t=0 0", `m=audio ${this.audio.port} RTP/AVP 0 101`,
      "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", `a=${direction}`, "",
    ].join("\r\n");
  }

  /** Sends its audio where the other side says. */
  speaksTo(sdp) {
    const [address, port] = [sdp.match(/^c=IN IP4 (\S+)/m)?.[1], sdp.match(/^m=audio (\d+)/m)?.[1]];
    if (address && port) this.audio.remote = { address, port: Number(port) };
  }

  request(method, { cseq, branch = `z9hG4bK${random()}`, headers = [], body = "" } = {}) {
    const number = cseq ?? (this.cseq += 1);
    this.phone.send([
      `${method} ${this.target} SIP/2.0`, `Via: SIP/2.0/UDP 127.0.0.1:${this.phone.port};branch=${branch};rport`, "Max-Forwards: 70",
      `From: ${this.local}`, `To: ${this.remote}`, `Call-ID: ${this.id}`, `CSeq: ${number} ${method}`, `Contact: <${this.phone.contact}>`,
      ...headers, ...(body ? ["Content-Type: application/sdp"] : []), `Content-Length: ${Buffer.byteLength(body)}`, "", body,
    ].join("\r\n"));
    return number;
  }

  /** Sends a request in the dialog and gives the status of its answer. */
  async says(method, more = {}) {
    const cseq = `${this.request(method, more)} ${method}`;
    const found = await until(`an answer to ${method}`, () => this.statuses.find(({ status, headers }) => headers.cseq === cseq && status >= 200));
    return found.status;
  }

  async hold() {
    return this.says("INVITE", { body: this.sdp("sendonly") });
  }

  async hangup() {
    return this.says("BYE");
  }

  /** Passes the other party on to somebody. */
  async refer(to, headers = []) {
    return this.says("REFER", { headers: [`Refer-To: <${to}>`, `Referred-By: <${this.phone.address}>`, ...headers] });
  }

  /** Passes the other party of this call on to that of another one (RFC 5589 §7). */
  async referTo(other) {
    return this.refer(`${other.target.split(";")[0]}?Replaces=${encodeURIComponent(other.dialog())}`, ["Require: replaces"]);
  }

  /** How others name this dialog to the server. */
  dialog() {
    const tag = (value) => value.match(/;tag=([^;>\s]+)/)[1];
    return `${this.id};to-tag=${tag(this.remote)};from-tag=${tag(this.local)}`;
  }

  /** The status that a call of this phone was refused with. */
  async isRefused(within = 10_000) {
    return (await until("the call to be refused", () => this.statuses.find(({ status }) => status >= 300 && status !== 407), { within })).status;
  }

  /** What NOTIFY said became of a REFER, in order. */
  get told() {
    return this.requests.filter(({ method }) => method === "NOTIFY").map(({ body }) => Number(body.match(/^SIP\/2\.0 (\d{3})/)?.[1]));
  }

  async isTold(status, within = 20_000) {
    await until(`NOTIFY to say ${status}`, () => this.told.includes(status), { within }).catch((error) => {
      throw new Error(`${error.message}; it said ${this.told.join(", ") || "nothing"}`);
    });
  }

  get over() {
    return this.ended || this.requests.some(({ method }) => method === "BYE");
  }

  async isOver(within = 20_000) {
    await until("the call to end", () => this.over, { within });
  }

  async isUp(within = 20_000) {
    await until("the call to be answered", () => this.up, { within }).catch((error) => {
      throw new Error(`${error.message}; it was answered ${this.statuses.map(({ status }) => status).join(", ") || "not at all"}`);
    });
  }
}

export class DeskPhone {
  /** Registers and waits for calls; `answers: false` lets them ring, a status refuses them. */
  static async start(server, account, { answers = true } = {}) {
    const phone = new DeskPhone();
    const { host, port } = server.demo.sip;
    Object.assign(phone, { server: { host, port }, account, answers, lines: [] });
    phone.socket = await udp(0);
    phone.port = phone.socket.address().port;
    phone.address = `sip:${account.username}@${host}:${port}`;
    phone.contact = `sip:${account.username}@127.0.0.1:${phone.port}`;
    phone.socket.on("message", (packet) => phone.#take(parseMessage(packet.toString("utf8"))));
    await phone.#register();
    return phone;
  }

  send(text) {
    if (!this.closed) this.socket.send(text, this.server.port, this.server.host, () => {});
  }

  async #register() {
    const line = new Line(this, true);
    Object.assign(line, { id: random(), local: `<${this.address}>;tag=${random()}`, remote: `<${this.address}>`, target: `sip:${this.server.host}:${this.server.port}` });
    this.registration = line;
    const status = await line.says("REGISTER", { headers: ["Expires: 300"] });
    if (status !== 401) throw new Error(`the first REGISTER was answered ${status}`);
    const challenge = line.statuses.at(-1).head.find((text) => /^www-authenticate:/i.test(text) && text.includes("MD5"));
    const proof = digest(challenge, this.account.username, this.account.password, "REGISTER", line.target);
    const registered = await line.says("REGISTER", { headers: ["Expires: 300", `Authorization: ${proof}`] });
    if (registered !== 200) throw new Error(`the second REGISTER was answered ${registered}`);
  }

  /** Calls somebody, as an agent does. */
  async dial(user, headers = []) {
    const line = new Line(this, true);
    line.asks = headers;
    line.audio = await RtpPeer.open(PCMU);
    const target = `sip:${user}@${this.server.host}:${this.server.port}`;
    Object.assign(line, { id: random(), local: `<${this.address}>;tag=${random()}`, remote: `<${target}>`, target, cseq: 0 });
    this.lines.push(line);
    line.offer = line.sdp();
    line.branch = `z9hG4bK${random()}`;
    line.request("INVITE", { branch: line.branch, headers, body: line.offer });
    return line;
  }

  /** Calls to take the place of a line of another phone (RFC 3891); `more` is said of the dialog besides its tags. */
  async takes(other, more = "") {
    return this.dial(other.phone.account.username, [`Replaces: ${other.dialog()}${more}`, "Require: replaces"]);
  }

  /** The newest call that came in. */
  async rung(within = 30_000) {
    return until(`${this.account.username}'s phone to be called`, () => this.lines.findLast((line) => !line.own), { within });
  }

  async #take(message) {
    if (!message) return;
    const id = message.headers["call-id"];
    const line = [this.registration, ...this.lines].find((line) => line.id === id);
    if (message.status) return line && this.#answered(line, message);
    if (!line) return message.method === "INVITE" ? this.#called(message) : undefined;
    this.#asked(line, message);
  }

  #answered(line, message) {
    const { status, headers } = message;
    const [number, method] = headers.cseq.split(" ");
    line.statuses.push(message);
    if (method !== "INVITE" || status < 200) return;
    if (status >= 300) {
      const first = !line.up;
      const remote = line.remote;
      line.remote = headers.to;
      line.request("ACK", { cseq: Number(number), branch: first ? line.branch : undefined });
      line.remote = remote;
      if (first && status === 407) return this.#proves(line, message);
      if (first) line.ended = true;
      return;
    }
    line.remote = headers.to;
    line.target = headers.contact?.match(/<([^>]+)>/)?.[1] ?? line.target;
    line.up = true;
    line.speaksTo(message.body);
    line.request("ACK", { cseq: Number(number) });
  }

  #proves(line, { head }) {
    const challenge = head.find((text) => /^proxy-authenticate:/i.test(text) && text.includes("MD5"));
    const proof = digest(challenge, this.account.username, this.account.password, "INVITE", line.target);
    line.branch = `z9hG4bK${random()}`;
    line.request("INVITE", { branch: line.branch, headers: [`Proxy-Authorization: ${proof}`, ...line.asks], body: line.offer });
  }

  async #called(message) {
    const line = new Line(this, false);
    const { headers } = message;
    Object.assign(line, { id: headers["call-id"], invite: message, local: `${headers.to};tag=${random()}`, remote: headers.from, cseq: 0 });
    line.target = headers.contact.match(/<([^>]+)>/)[1];
    this.lines.push(line);
    line.audio = await RtpPeer.open(PCMU);
    line.speaksTo(message.body);
    this.#respond(line, message, "180 Ringing");
    if (this.answers === true) this.answer(line);
    else if (this.answers) this.#respond(line, message, `${this.answers} Refused`);
  }

  answer(line) {
    line.up = true;
    this.#respond(line, line.invite, "200 OK", line.sdp());
  }

  #respond(line, { head }, status, body = "") {
    const copied = head.filter((text) => /^(via|from|call-id|cseq|record-route):/i.test(text));
    this.send([
      `SIP/2.0 ${status}`, ...copied, `To: ${line.local}`, `Contact: <${this.contact}>`, "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, UPDATE",
      ...(body ? ["Content-Type: application/sdp"] : []), `Content-Length: ${Buffer.byteLength(body)}`, "", body,
    ].join("\r\n"));
  }

  #asked(line, message) {
    const { method } = message;
    if (method === "ACK") return;
    const again = line.requests.some((known) => known.method === method && known.headers.cseq === message.headers.cseq);
    if (method === "CANCEL") {
      this.#respond(line, message, "200 OK");
      if (!line.up) this.#respond(line, line.invite, "487 Request Terminated");
      line.requests.push(message);
      line.ended = true;
      return;
    }
    if (method === "INVITE" && message.headers.cseq === line.invite?.headers.cseq) return;
    if (!again) line.requests.push(message);
    if (method === "INVITE") line.speaksTo(message.body);
    this.#respond(line, message, "200 OK", method === "INVITE" ? line.sdp() : "");
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    for (const line of this.lines) line.audio?.close();
    this.socket.close();
  }
}
