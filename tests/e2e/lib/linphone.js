// An agent's phone: linphonec, driven by its commands.

import fs from "node:fs/promises";
import path from "node:path";
import { freePort, freeRange } from "./ports.js";
import { Program } from "./processes.js";
import { until } from "./until.js";

export class Linphone {
  /** Registers over TLS at this port, taking whatever certificate it is shown. */
  static async start(server, account, { port }) {
    const phone = new Linphone();
    const folder = path.join(server.folder, `linphone-${account.username}-${await freePort()}`);
    for (const part of [".local/share/linphone", ".config/linphone"]) await fs.mkdir(path.join(folder, part), { recursive: true });
    const { host } = server.demo.sip;
    const config = path.join(folder, "linphonerc");
    await fs.writeFile(config, [
      "[sip]", "sip_port=-1", "sip_tcp_port=-1", "sip_tls_port=-1", "verify_server_certs=0", "verify_server_cn=0", "default_proxy=0", "guess_hostname=0",
      `contact=<sip:${account.username}@${host}>`, "use_ipv6=0", "[rtp]", `audio_rtp_port=${await freeRange(2)}`, "[proxy_0]", `reg_proxy=<sip:${host}:${port};transport=tls>`,
      `reg_identity=<sip:${account.username}@${host}>`, "reg_expires=600", "reg_sendregister=1", "publish=0", "[auth_info_0]", `username=${account.username}`, `userid=${account.username}`,
      `passwd=${account.password}`, "realm=trunkline", `domain=${host}`, "",
    ].join("\n"), { mode: 0o600 });
    phone.program = new Program("linphonec", "linphonec", ["-c", config], { cwd: folder, env: { ...process.env, HOME: folder }, stdio: ["pipe", "pipe", "pipe"] });
    phone.program.child.stdin.on("error", () => {});
    phone.says("soundcard use files");
    return phone;
  }

  says(command) {
    this.program.child.stdin.write(`${command}\n`);
  }

  /** Until its console shows this, however often it is asked `again`. */
  async shows(pattern, { again, within = 15_000 } = {}) {
    const from = this.program.log.length;
    await until(`linphonec to show ${pattern}`, () => {
      if (again) this.says(again);
      return pattern.test(this.program.log.slice(again ? from : 0));
    }, { within, every: again ? 500 : 50 }).catch((error) => {
      throw new Error(`${error.message}\n${this.program.tail()}`);
    });
  }

  async close() {
    this.says("quit");
    await this.program.stop("SIGTERM", 3000);
  }
}
