// A caller from the carrier's side: SIPp for the signalling, our own RTP for the audio.
//
// SIPp plays captures only through raw sockets, which need root, and cannot tell what it hears. The audio therefore
// comes from `RtpPeer`, whose port the scenario offers. To make SIPp hang up at the moment the test wants, a MESSAGE
// with the call's Call-ID is sent to it: SIPp gives it to the call, and the scenario goes on to BYE or CANCEL.

import path from "node:path";
import { fileURLToPath } from "node:url";
import dgram from "node:dgram";
import { freePort } from "./ports.js";
import { Program } from "./processes.js";
import { RtpPeer } from "./rtp.js";

const SCENARIOS = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../scenarios");

export class Caller {
  /** Dials `to` from `from`. */
  static async dial(server, { to = server.number, from, scenario = "caller.xml" }) {
    const caller = new Caller();
    caller.audio = await RtpPeer.open();
    caller.port = await freePort();
    caller.callId = `e2e-${caller.port}-${Date.now()}@127.0.0.1`;
    const { host, port } = server.demo.sip;
    caller.program = new Program("sipp", "sipp", [
      `${host}:${port}`, "-s", to, "-sf", path.join(SCENARIOS, scenario), "-m", "1", "-i", "127.0.0.1", "-p", String(caller.port),
      "-mi", "127.0.0.1", "-cid_str", caller.callId.replaceAll("%", "%%"), "-key", "from", from, "-key", "rtp_port", String(caller.audio.port),
      "-nostdin", "-trace_err", "-error_file", path.join(server.folder, `sipp-${caller.port}.log`), "-recv_timeout", "60000",
      "-trace_msg", "-message_file", path.join(server.folder, `sipp-${caller.port}-messages.log`), "-timeout", "120s", "-timeout_error",
    ], { cwd: server.folder });
    return caller;
  }

  /** Makes SIPp take the next step: BYE after an answer, CANCEL before one. */
  async hangup() {
    const message = [
      `MESSAGE sip:caller@127.0.0.1:${this.port} SIP/2.0`, "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKnudge", "Max-Forwards: 70",
      "From: <sip:test@127.0.0.1>;tag=nudge", "To: <sip:caller@127.0.0.1>", `Call-ID: ${this.callId}`, "CSeq: 1 MESSAGE", "Content-Length: 0", "", "",
    ].join("\r\n");
    const socket = dgram.createSocket("udp4");
    await new Promise((resolve, reject) => socket.send(message, this.port, "127.0.0.1", (error) => (error ? reject(error) : resolve())));
    socket.close();
  }

  /** Until the scenario went through to its end; anything unexpected on the way fails it. */
  async ends(within = 30_000) {
    const outcome = await this.program.finish(within);
    if (outcome.code !== 0) throw new Error(`the caller's scenario ended with ${JSON.stringify(outcome)}\n${this.program.tail()}`);
  }

  async close() {
    this.audio.close();
    await this.program.stop("SIGKILL");
  }
}
