// A caller's user agent with every message in the test's hands: what it offers, when, and what it sends in between.
// SIPp (lib/caller.js) places the ordinary calls; this places the odd ones, and many at once.

import { randomBytes } from "node:crypto";
import { parseMessage } from "./sip.js";
import { udp } from "./ports.js";
import { PCMA, PCMU, RtpPeer } from "./rtp.js";
import { until } from "./until.js";

export class UserAgent {
  /**
   * Dials.
   * @param {import("./server.js").Server} server
   * @param {{from: string, to?: string, codec?: typeof PCMU, events?: boolean, lateOffer?: boolean}} options
   *   `at`: another port of the server's. `through` puts a relay between its audio and the server: what it returns has the port to offer.
   *   `events`: whether it offers telephone-event. `lateOffer`: it offers nothing and answers the server's offer in its ACK.
   */
  static async open(server, { from, to = server.number, codec = PCMU, events = true, lateOffer = false, through, at }) {
    const agent = new UserAgent();
    const { host, port } = { ...server.demo.sip, ...(at && { port: at }) };
    Object.assign(agent, { server: { host, port }, from, codec, events, lateOffer, routes: [], cseq: 1, statuses: [], requests: [] });
    agent.socket = await udp(0);
    agent.port = agent.socket.address().port;
    agent.audio = await RtpPeer.open(codec);
    agent.relay = await through?.(agent.audio);
    agent.id = `${randomBytes(6).toString("hex")}@127.0.0.1`;
    agent.local = `"Caller" <sip:${from}@127.0.0.1:${agent.port}>;tag=${randomBytes(4).toString("hex")}`;
    agent.remote = `<sip:${to}@${host}:${port}>`;
    agent.target = `sip:${to}@${host}:${port}`;
    agent.socket.on("message", (packet) => agent.#take(parseMessage(packet.toString("utf8"))));
    agent.branch = agent.#request("INVITE", { body: lateOffer ? "" : agent.sdp() });
    return agent;
  }

  /** What it can and where it hears. `direction` is how RFC 3264 holds a call. */
  sdp(direction = "sendrecv") {
    const { type } = this.codec;
    const lines = [
      "v=0", `o=ua 1 ${this.cseq} IN IP4 127.0.0.1`, "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
      `m=audio ${this.relay?.port ?? this.audio.port} RTP/AVP ${type}${this.events ? " 101" : ""}`, `a=rtpmap:${type} ${type === PCMA.type ? "PCMA" : "PCMU"}/8000`,
      ...(this.events ? ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"] : []), "a=ptime:20", `a=${direction}`, "",
    ];
    return lines.join("\r\n");
  }

  #request(method, { cseq = this.cseq, branch = `z9hG4bK${randomBytes(6).toString("hex")}`, body = "", type = "application/sdp", target = this.target, headers = [] } = {}) {
    const lines = [
      `${method} ${target} SIP/2.0`, `Via: SIP/2.0/UDP 127.0.0.1:${this.port};branch=${branch};rport`, ...this.routes, "Max-Forwards: 70", `From: ${this.local}`,
      `To: ${this.remote}`, `Call-ID: ${this.id}`, `CSeq: ${cseq} ${method}`, `Contact: <sip:${this.from}@127.0.0.1:${this.port}>`,
      "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE", ...headers, ...(body ? [`Content-Type: ${type}`] : []), `Content-Length: ${Buffer.byteLength(body)}`, "", body,
    ];
    this.#send(lines.join("\r\n"));
    return branch;
  }

  #send(text) {
    if (!this.closed) this.socket.send(text, this.server.port, this.server.host, () => {});
  }

  #take(message) {
    if (!message) return;
    if (message.status) this.#answer(message);
    else this.#asked(message);
  }

  #answer({ status, headers, body, head }) {
    const [, method] = headers.cseq.split(" ");
    this.statuses.push({ status, method, headers, body });
    if (method !== "INVITE" || status < 200) return;
    if (status >= 300) {
      // RFC 3261 §17.1.1.3: the ACK of a refusal belongs to the INVITE's transaction.
      this.remote = headers.to;
      this.#request("ACK", { branch: this.branch });
      return;
    }
    this.remote = headers.to;
    // RFC 3261 §12.1.2: what proxies recorded, from the last to the first.
    this.routes = head.filter((line) => /^record-route:/i.test(line)).flatMap((line) => line.slice(line.indexOf(":") + 1).split(",")).reverse().map((route) => `Route: ${route.trim()}`);
    this.target = headers.contact?.match(/<([^>]+)>/)?.[1] ?? this.target;
    this.#request("ACK", { cseq: Number(headers.cseq.split(" ")[0]), body: this.lateOffer ? this.sdp() : "" });
  }

  #asked({ method, headers, body, head }) {
    if (method === "ACK") return;
    this.requests.push({ method, headers, body });
    const copied = head.filter((line) => /^(via|from|to|call-id|cseq):/i.test(line));
    const answer = method === "INVITE" ? this.sdp() : "";
    const own = [`Contact: <sip:${this.from}@127.0.0.1:${this.port}>`, ...(answer ? ["Content-Type: application/sdp"] : [])];
    this.#send(["SIP/2.0 200 OK", ...copied, ...own, `Content-Length: ${Buffer.byteLength(answer)}`, "", answer].join("\r\n"));
  }

  get answered() {
    return this.statuses.some(({ status, method }) => method === "INVITE" && status >= 200 && status < 300);
  }

  /** Ended by the other side, or refused. */
  get over() {
    return this.requests.some(({ method }) => method === "BYE") || this.statuses.some(({ status, method }) => method === "INVITE" && status >= 300);
  }

  async isAnswered(within = 20_000) {
    await until(`${this.from}'s call to be answered`, () => this.answered, { within });
  }

  async isOver(within = 30_000) {
    await until(`${this.from}'s call to end`, () => this.over, { within });
  }

  /** Sends a request in the dialog and gives the status of its answer. */
  async says(method, more = {}) {
    this.cseq += 1;
    const cseq = `${this.cseq} ${method}`;
    this.#request(method, more);
    const found = await until(`an answer to ${method}`, () => this.statuses.find(({ status, headers }) => headers.cseq === cseq && status >= 200));
    return found.status;
  }

  /** A key, in the form of most gateways. */
  async info(key) {
    return this.says("INFO", { type: "application/dtmf-relay", body: `Signal=${key}\r\nDuration=160\r\n` });
  }

  /** Gives up, whatever the answer is meanwhile. */
  async cancels() {
    const cseq = "1 CANCEL";
    this.#request("CANCEL", { cseq: 1, branch: this.branch });
    return (await until("an answer to CANCEL", () => this.statuses.find(({ headers }) => headers.cseq === cseq))).status;
  }

  /** Asks that its other party be connected with somebody else. */
  async refers(to) {
    return this.says("REFER", { headers: [`Refer-To: <${to}>`] });
  }

  async hangup() {
    return this.says("BYE");
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.relay?.close();
    this.audio.close();
    this.socket.close();
  }
}
