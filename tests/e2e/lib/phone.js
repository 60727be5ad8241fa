// An agent's phone: baresip, driven over its control connection.

import fs from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { once } from "node:events";
import { tone, wav } from "./audio.js";
import { freePort, freeRange } from "./ports.js";
import { Program } from "./processes.js";
import { until } from "./until.js";

const MODULES = ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"];

/** Long enough for any test: when the file ends, the phone falls silent. */
const SOURCE_SECONDS = 180;

export class Phone {
  /**
   * @param {import("./server.js").Server} server
   * @param {{username: string, password: string}} account
   * @param {{answer?: "auto"|"manual", frequency?: number, registers?: boolean, transport?: "udp"|"tls", at?: number, codecs?: string, encryption?: "srtp"|"srtp-mand"}} options
   *   `at`: the port it registers at; `codecs` as baresip names them, best first; `encryption` offers keys in a clear profile, or insists on an encrypted one.
   */
  static async start(server, account, { answer = "auto", frequency = 700, registers = true, transport = "udp", at, codecs = "pcmu,pcma", encryption, modules = [], jitterBuffer = "1-5" } = {}) {
    const phone = new Phone();
    phone.username = account.username;
    phone.serverAddress = `${server.demo.sip.host}:${server.demo.sip.port}`;
    phone.folder = path.join(server.folder, `phone-${account.username}-${await freePort()}`);
    phone.heardFile = path.join(phone.folder, "heard.wav");
    phone.events = [];
    await fs.mkdir(phone.folder, { recursive: true });
    await fs.writeFile(path.join(phone.folder, "says.wav"), wav(tone(frequency, SOURCE_SECONDS)));
    const control = await freePort();
    await phone.#configure(server, account, { answer, registers, control, transport, at, codecs, encryption, modules, jitterBuffer });
    // baresip writes its WAV beside wherever it was told; the folder is its own.
    phone.program = new Program(`baresip ${account.username}`, "baresip", ["-f", phone.folder, "-v"], { cwd: phone.folder });
    try {
      await phone.#control(control);
    } catch (error) {
      await phone.close();
      throw new Error(`${error.message}\n${phone.program.tail()}`);
    }
    return phone;
  }

  async #configure(server, account, { answer, registers, control, transport, at, codecs, encryption, modules: also, jitterBuffer }) {
    const { host, port } = server.demo.sip;
    const rtp = await freeRange(20);
    // It takes the next port for TLS too.
    const signalling = await freePort(2);
    const found = await Promise.all(MODULES.map((folder) => fs.access(folder).then(() => folder, () => undefined)));
    const modules = found.find(Boolean) ?? MODULES[0];
    const config = [
      "poll_method epoll", `sip_listen ${host}:${signalling}`, `sip_trans_def ${transport}`, "call_local_timeout 120", "call_max_calls 4",
      "audio_player aufile," + this.heardFile, "audio_source aufile," + path.join(this.folder, "says.wav"), "audio_alert aufile," + path.join(this.folder, "alert.wav"),
      "audio_srate 8000", "audio_channels 1", "ausrc_srate 8000", "auplay_srate 8000", "audio_buffer 20-160", `jitter_buffer_delay ${jitterBuffer}`, `rtp_ports ${rtp}-${rtp + 19}`, "rtcp_mux no",
      `ctrl_tcp_listen 127.0.0.1:${control}`, `module_path ${modules}`, "module g711.so", "module aufile.so", ...also.map((name) => `module ${name}`),
      ...(codecs.includes("G722") ? ["module g722.so"] : []), ...(codecs.includes("opus") ? ["module opus.so", "opus_stereo no", "opus_sprop_stereo no"] : []),
      // Keeps what is said and heard, at the codec's rate.
      "module sndfile.so", `snd_path ${this.folder}`,
      ...(encryption ? ["module srtp.so"] : []), "module_tmp uuid.so", "module_tmp account.so",
      "module_app menu.so", "module_app ctrl_tcp.so",
    ];
    const account_line =
      `<sip:${account.username}@${host}:${at ?? port};transport=${transport}>;auth_user=${account.username};auth_pass=${account.password ?? ""};` +
      `answermode=${answer};regint=${registers ? 60 : 0};audio_codecs=${codecs};ptime=20${encryption ? `;mediaenc=${encryption}` : ""}`;
    await fs.writeFile(path.join(this.folder, "config"), config.join("\n") + "\n");
    await fs.writeFile(path.join(this.folder, "accounts"), account_line + "\n", { mode: 0o600 });
    await fs.writeFile(path.join(this.folder, "contacts"), "");
  }

  /** Its control connection: JSON in netstrings, events as they happen. */
  async #control(port) {
    this.socket = await until("baresip's control connection", async () => {
      if (!this.program.running) throw new Error("it ended");
      const socket = net.connect(port, "127.0.0.1");
      await Promise.race([once(socket, "connect"), once(socket, "error").then(([error]) => Promise.reject(error))]);
      return socket;
    });
    let pending = "";
    this.socket.setEncoding("utf8");
    this.socket.on("error", () => {});
    this.socket.on("data", (text) => {
      pending += text;
      for (;;) {
        const colon = pending.indexOf(":");
        const length = Number(pending.slice(0, colon));
        if (colon < 1 || pending.length < colon + 1 + length + 1) break;
        const message = JSON.parse(pending.slice(colon + 1, colon + 1 + length));
        pending = pending.slice(colon + 1 + length + 1);
        if (message.event) this.events.push(message);
      }
    });
  }

  /** Sends a command; what it leads to arrives as an event. */
  command(command, params = "") {
    const text = JSON.stringify({ command, params, token: String(Date.now()) });
    this.socket.write(`${Buffer.byteLength(text)}:${text},`);
  }

  count(type) {
    return this.events.filter((event) => event.type === type).length;
  }

  /** Until it has seen this event `times` times. */
  async sees(type, { times = 1, within = 20_000 } = {}) {
    await until(`${this.username}'s phone to see ${type}`, () => this.count(type) >= times, { within }).catch((error) => {
      throw new Error(`${error.message}; it saw ${this.events.map((event) => event.type).join(", ") || "nothing"}\n${this.program.tail()}`);
    });
  }

  async registered() {
    // The registration may have happened before the control connection stood.
    await until(`${this.username}'s phone to register`, () => this.count("REGISTER_OK") > 0 || /200 OK.*\(binding|\d+ binding/i.test(this.program.log), { within: 20_000 }).catch((error) => {
      throw new Error(`${error.message}\n${this.program.tail()}`);
    });
  }

  /** Calls a number of the server's. */
  dial(number) {
    this.command("dial", `sip:${number}@${this.serverAddress}`);
  }

  /** Presses a key, by telephone-event. */
  press(key) {
    this.command("sndcode", key);
  }

  hangup() {
    this.command("hangup");
  }

  async close() {
    this.socket?.destroy();
    await this.program?.stop("SIGTERM", 3000);
  }
}
