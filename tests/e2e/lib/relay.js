// A TURN server, coturn, that takes the credentials a shared secret makes.

import { createHmac } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { freePort, freeRange } from "./ports.js";
import { Program } from "./processes.js";
import { until } from "./until.js";

const SECRET = "a secret for the relay of this test";

export class Relay {
  static async installed() {
    const folders = (process.env.PATH ?? "").split(":");
    return (await Promise.all(folders.map((folder) => fs.access(path.join(folder, "turnserver")).then(() => true, () => false)))).some(Boolean);
  }

  static async start(folder) {
    const relay = new Relay();
    relay.secret = SECRET;
    relay.port = await freePort();
    const media = await freeRange(20);
    relay.program = new Program("turnserver", "turnserver", [
      "-n", "--listening-ip", "127.0.0.1", "--listening-port", String(relay.port), "--relay-ip", "127.0.0.1", "--min-port", String(media), "--max-port", String(media + 19),
      "--use-auth-secret", "--static-auth-secret", SECRET, "--realm", "relay.test", "--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls",
      "--log-file", "stdout", "--simple-log", "--verbose", "--pidfile", path.join(folder, "turnserver.pid"),
    ], { cwd: folder });
    await until("the relay to listen", () => /listener opened|UDP listener/i.test(relay.program.log)).catch((error) => {
      throw new Error(`${error.message}\n${relay.program.tail()}`);
    });
    return relay;
  }

  /** As the server hands it out: the end of its validity, proven by the secret. */
  get entry() {
    const username = `${Math.floor(Date.now() / 1000) + 600}:1001`;
    return { urls: `turn:127.0.0.1:${this.port}?transport=udp`, username, credential: createHmac("sha1", SECRET).update(username).digest("base64") };
  }

  async close() {
    await this.program.stop("SIGTERM", 3000);
  }
}
