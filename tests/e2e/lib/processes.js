// Programs started by a test: each with its log, each ended by its own pid.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "./until.js";

export class Program {
  /** @param {string} name @param {string} file @param {string[]} args */
  constructor(name, file, args, options = {}) {
    this.name = name;
    this.log = "";
    this.child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.failed = new Promise((_, reject) => this.child.once("error", reject));
    this.failed.catch(() => {});
    this.ended = once(this.child, "close").then(([code, signal]) => (this.outcome = { code, signal }));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (text) => (this.log += text));
    }
  }

  get running() {
    return this.outcome === undefined;
  }

  kill(signal) {
    if (this.running && this.child.pid) this.child.kill(signal);
  }

  /** Asks it to end, and makes it end when it does not. */
  async stop(signal = "SIGTERM", patience = 5000) {
    if (!this.child.pid) return;
    this.kill(signal);
    const timer = setTimeout(() => this.kill("SIGKILL"), patience);
    await this.ended;
    clearTimeout(timer);
  }

  /** Its outcome, within a time. */
  async finish(within) {
    await Promise.race([until(`${this.name} to end`, () => !this.running, { within }), this.failed]).catch((error) => {
      this.kill("SIGKILL");
      throw new Error(`${error.message}\n${this.tail()}`);
    });
    return this.outcome;
  }

  tail(lines = 40) {
    return `--- ${this.name}:\n${this.log.split("\n").slice(-lines).join("\n")}`;
  }
}

/** Runs to the end and gives `{code, stdout, stderr}`; bytes stay bytes in `raw`. */
export async function run(file, args, options = {}) {
  const { within = 60_000, ...spawning } = options;
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], ...spawning });
  const [out, err] = [[], []];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), within);
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  const raw = Buffer.concat(out);
  return { code: code ?? `killed by ${signal}`, raw, stdout: raw.toString("utf8"), stderr: Buffer.concat(err).toString("utf8") };
}
