// SIPp with scenarios of our own. A scenario is a list of steps, written here as calls and handed to SIPp as its XML:
// the headers that every request needs are in one place, and a case shows only what is special about it.

import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { freePort, udp } from "./ports.js";
import { Program } from "./processes.js";
import { parseMessage } from "./sip.js";
import { until } from "./until.js";

const VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport";
const CONTACT = "Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>";
const US = "<sip:[user]@[local_ip]:[local_port]>;tag=[pid]a[call_number]";

/** A session description; `direction` and `address` are how a call is held. */
export function sdp({ direction = "sendrecv", address = "[media_ip]", version = 1 } = {}) {
  return [
    "v=0", `o=sipp 1 ${version} IN IP[local_ip_type] [local_ip]`, "s=-", `c=IN IP4 ${address}`, "t=0 0", "m=audio [rtp_port] RTP/AVP 0 101",
    "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", `a=${direction}`,
  ];
}

const text = (lines) => `<![CDATA[\n\n${lines.join("\n")}\n\n]]>`;
const attributes = (all) => Object.entries(all).map(([name, value]) => ` ${name}="${value}"`).join("");

function message(head, { body = [], type = "application/sdp", headers = [] }) {
  const typed = body.length ? [`Content-Type: ${type}`] : [];
  return text([...head, ...headers, ...typed, "Content-Length: [len]", "", ...body]);
}

/** A request that begins something: REGISTER, INVITE, OPTIONS. */
export function request(method, { uri = "sip:[service]@[remote_ip]:[remote_port]", to = `<${uri}>`, from = US, cseq = 1, txn, body, headers, type, via = VIA, contact = CONTACT } = {}) {
  const head = [`${method} ${uri} SIP/2.0`, via, "Max-Forwards: 70", `From: ${from}`, `To: ${to}`, "Call-ID: [call_id]", `CSeq: ${cseq} ${method}`, contact];
  return `<send${attributes({ retrans: 500, ...(txn && { start_txn: txn }) })}>${message(head, { body, headers, type })}</send>`;
}

/** A request in the dialog of a call we placed; `refused` says how many steps ago the INVITE was that an ACK is for. */
export function inside(method, { cseq = 2, txn, ack, refused, body, headers, type } = {}) {
  // RFC 3261 §17.1.1.3: the ACK of a refusal has the branch of its INVITE, so many steps back.
  const branch = refused ? VIA.replace("[branch]", `[branch-${refused}]`) : VIA;
  const head = [
    `${method} [next_url] SIP/2.0`, branch, "[routes]", "Max-Forwards: 70", `From: ${US}`, "To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]",
    "Call-ID: [call_id]", `CSeq: ${cseq} ${method}`, CONTACT,
  ];
  const sending = method === "ACK" ? (ack ? { ack_txn: ack } : {}) : { retrans: 500, ...(txn && { start_txn: txn }) };
  return `<send${attributes(sending)}>${message(head, { body, headers, type })}</send>`;
}

/** A request in the dialog of a call we took, towards whoever sent the INVITE. */
export function back(method, { cseq = 1, body, headers, type, txn } = {}) {
  const head = [
    `${method} [next_url] SIP/2.0`, VIA, "[routes]", "Max-Forwards: 70", "From: [$them];tag=[pid]b[call_number]", "To: [$us]", "Call-ID: [call_id]",
    `CSeq: ${cseq} ${method}`, CONTACT,
  ];
  const sending = method === "ACK" ? {} : { retrans: 500, ...(txn && { start_txn: txn }) };
  return `<send${attributes(sending)}>${message(head, { body, headers, type })}</send>`;
}

/** Answers the last request. */
export function answer(status, { body, headers = [], retrans = false } = {}) {
  const head = [
    `SIP/2.0 ${status}`, "[last_Via:]", "[last_Record-Route:]", "[last_From:]", status.startsWith("100") ? "[last_To:]" : "[last_To:];tag=[pid]b[call_number]",
    "[last_Call-ID:]", "[last_CSeq:]", CONTACT,
  ];
  return `<send${retrans ? ' retrans="500"' : ""}>${message(head, { body, headers })}</send>`;
}

/** Answers the INVITE after other requests have come. */
export function answersInvite(status, { body = [] } = {}) {
  const head = [`SIP/2.0 ${status}`, "[$vias]", "[$routes]", "From:[$us]", "To:[$them];tag=[pid]b[call_number]", "[last_Call-ID:]", "CSeq: [$cseq] INVITE", CONTACT];
  return `<send retrans="500">${message(head, { body })}</send>`;
}

/** Answers a request in a dialog that has its tags. */
export function ok({ body, headers = [] } = {}) {
  const head = ["SIP/2.0 200 OK", "[last_Via:]", "[last_Record-Route:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]", CONTACT];
  return `<send>${message(head, { body, headers })}</send>`;
}

/** Expects a status. `matches` are expressions that must be found in its body or in the whole; `dialog` takes its route and its Contact. */
export function hears(status, { optional = false, txn, next, matches = [], dialog = false, timeout } = {}) {
  const all = { response: status, ...(optional && { optional: "true" }), ...(txn && { response_txn: txn }), ...(next && { next }), ...(timeout && { timeout }), ...(dialog && { rrs: "true" }) };
  return `<recv${attributes(all)}>${action(matches)}</recv>`;
}

/** Expects a request. */
export function asked(method, { optional = false, next, matches = [], timeout } = {}) {
  const all = { request: method, ...(optional && { optional: "true" }), ...(next && { next }), ...(timeout && { timeout }), rrs: "true" };
  return `<recv${attributes(all)}>${action(matches)}</recv>`;
}

/** Expects a challenge that `[authentication]` then answers. */
export function proofAsked(status) {
  return `<recv response="${status}" auth="true"></recv>`;
}

/** Waits for a word of the test's own ({@link Sipp.isTold}), and keeps the header of this name as `[$told]`. */
export function told(header) {
  return `<recv request="INFO"><action><ereg regexp="[^ ].*" search_in="hdr" header="${header}:" check_it="true" assign_to="told"/></action></recv>`;
}

/** The INVITE of a call we take; what later messages of ours repeat of it is kept. */
export function invited({ matches = [] } = {}) {
  const lines = (name) => `${name}: [^[:cntrl:]]*([[:cntrl:]]+${name}: [^[:cntrl:]]*)*`;
  const kept = [
    { header: "From:", keep: "us" }, { header: "To:", keep: "them" }, { keep: "cseq", expression: "[0-9]+", header: "CSeq:" },
    { keep: "vias", expression: lines("Via") }, { keep: "routes", expression: `(${lines("Record-Route")})|Max-Forwards: [0-9]+` },
  ];
  return asked("INVITE", { matches: [...kept, ...matches] });
}

function action(matches) {
  if (!matches.length) return "";
  const each = matches.map((match, index) => {
    if (match.keep) {
      const where = match.header ? `search_in="hdr" header="${match.header}"` : 'search_in="msg"';
      return `<ereg regexp="${match.expression ?? ".*"}" ${where} check_it="true" assign_to="${match.keep}${match.expression?.includes("(") ? `,${match.keep}_` : ""}"/>`;
    }
    const where = match.body ? 'search_in="body"' : 'search_in="msg"';
    const regexp = (match.body ?? match.message).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
    return `<ereg regexp="${regexp}" ${where} check_it="true" assign_to="m${index}"/><log message="found [$m${index}]"/>`;
  });
  return `<action>${each.join("")}</action>`;
}

export const pause = (milliseconds) => `<pause milliseconds="${milliseconds}"/>`;
export const label = (id) => `<label id="${id}"/>`;

/** One SIPp at work. */
export class Sipp {
  /**
   * @param {import("./server.js").Server} server
   * @param {{name: string, steps: string[], transport?: "udp"|"tcp", to?: string, user?: string, port?: number, target?: {host: string, port: number},
   *   password?: string, waits?: boolean, keys?: Record<string, string>}} options `waits`: it takes calls instead of placing one. `keys` are words of
   *   its scenario besides `[user]` and `[domain]`.
   */
  static async start(server, { name, steps, transport = "udp", to = "nobody", user = "+421900000000", port, target = server.demo.sip, password = "", waits = false, within = 60, keys = {}, more = [] }) {
    const sipp = new Sipp();
    Object.assign(sipp, { name, transport });
    sipp.port = port ?? (await freePort());
    const stem = path.join(server.folder, `${name.replace(/\W+/g, "-")}-${sipp.port}`);
    // SIPp takes a variable that nothing reads for a mistake.
    const kept = steps.join("").includes('assign_to="us"') ? '<Reference variables="us,them,cseq,vias,vias_,routes,routes_"/>' : "";
    await fs.writeFile(`${stem}.xml`, `<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="${name}">\n${steps.join("\n")}\n${kept}</scenario>\n`);
    sipp.program = new Program(`sipp ${name}`, "sipp", [
      ...(waits ? [] : [`${target.host}:${target.port}`]), "-sf", `${stem}.xml`, "-m", "1", "-s", to, "-i", "127.0.0.1", "-p", String(sipp.port), "-mi", "127.0.0.1",
      "-t", transport === "tcp" ? "t1" : "u1", "-key", "user", user, ...Object.entries({ domain: `${target.host}:${target.port}`, ...keys }).flatMap(([name, value]) => ["-key", name, value]), "-key", "rtp_port", String(30_000 + 2 * (sipp.port % 1000)), "-au", user, "-ap", password, ...(password ? ["-auth_uri", `${to}@${target.host}:${target.port}`] : []), "-nostdin", "-recv_timeout", `${within}s`.replace("s", "000"),
      "-timeout", `${within}s`, "-timeout_error", "-trace_err", "-error_file", `${stem}.err`, ...more, "-trace_msg", "-message_file", `${stem}.log`, "-cid_str", `${sipp.port}-%u-%p@%s`,
    ], { cwd: server.folder });
    sipp.files = stem;
    return sipp;
  }

  /** Until it went through its scenario; anything unexpected on the way fails it. */
  async ends(within = 60_000) {
    const outcome = await this.program.finish(within);
    if (outcome.code === 0) return;
    const read = (ending) => fs.readFile(`${this.files}.${ending}`, "utf8").catch(() => "");
    throw new Error(`SIPp's ${this.name} ended with ${JSON.stringify(outcome)}\n${(await read("err")).slice(0, 3000)}\n${(await read("log")).slice(-6000)}`);
  }

  /** A message of those it has sent and heard, as soon as it is there: its first line begins so, and its CSeq with this number. */
  async has(start, cseq = "", like = () => true) {
    return until(`${start} at ${this.name}`, async () => {
      const log = await fs.readFile(`${this.files}.log`, "utf8").catch(() => "");
      const all = log.split(/^-{10,}.*$/m).map((text) => text.slice(text.indexOf("\n\n") + 2).replaceAll(/\r?\n/g, "\r\n"));
      return all.filter((text) => text.startsWith(start)).map(parseMessage).find((message) => message?.headers.cseq.startsWith(cseq) && like(message));
    });
  }

  /** A word in its ear, in the call it has: what its scenario can't know when it begins. */
  async isTold(header) {
    const { headers } = await this.has("ACK ");
    const text = [
      "INFO sip:sipp SIP/2.0", "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKword", "From: <sip:test>;tag=test", "To: <sip:sipp>", `Call-ID: ${headers["call-id"]}`, "CSeq: 1 INFO", header,
      "Content-Length: 0", "", "",
    ].join("\r\n");
    if (this.transport === "tcp") return void net.connect(this.port, "127.0.0.1").end(text);
    const socket = await udp(0);
    socket.send(text, this.port, "127.0.0.1", () => socket.close());
  }

  async close() {
    await this.program.stop("SIGKILL");
  }
}
