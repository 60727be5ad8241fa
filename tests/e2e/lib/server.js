// The real `trunkline`, on free ports, with a demo company in a folder of its own.

import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, freeRange } from "./ports.js";
import { Program } from "./processes.js";
import { until } from "./until.js";

const BUILT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../../target/debug");

export const TRUNKLINE = process.env.TRUNKLINE_BIN ?? path.join(BUILT, "trunkline");
export const MEMBRANE = process.env.MEMBRANE_BIN ?? path.join(BUILT, "membrane");

const RTP_PORTS = 60;

export class Server {
  /**
   * @param {{demo?: boolean, gateway?: boolean, ws?: boolean, rtpPorts?: number, data?: (folder: string) => Promise<string>}} options
   *   `gateway` opens the further listener; `ws` one for SIP over WebSocket; `data` makes the data folder somewhere of its own.
   */
  static async start(options = {}) {
    const server = new Server();
    server.options = { demo: true, rtpPorts: RTP_PORTS, ...options };
    server.folder = await fs.mkdtemp(path.join(os.tmpdir(), "trunkline-e2e-"));
    server.data = options.data ? await options.data(server.folder) : path.join(server.folder, "data");
    server.httpPort = await freePort();
    server.sipPort = await freePort();
    server.gatewayPort = options.gateway ? await freePort() : undefined;
    server.wsPort = options.ws ? await freePort() : undefined;
    server.rtpFirst = await freeRange(server.options.rtpPorts);
    // What depends on its ports.
    if (typeof server.options.env === "function") server.options.env = await server.options.env(server);
    await server.boot();
    return server;
  }

  /** What it is started with, and what a test changes about it. */
  arguments(changes = {}) {
    const settings = {
      data: this.data, http: `127.0.0.1:${this.httpPort}`, sip: `127.0.0.1:${this.sipPort}`,
      "rtp-ports": `${this.rtpFirst}-${this.rtpFirst + this.options.rtpPorts - 1}`,
      ...(this.gatewayPort && { "gateway-http": `127.0.0.1:${this.gatewayPort}` }),
      ...(this.wsPort && { "sip-ws": `127.0.0.1:${this.wsPort}` }),
      ...changes,
    };
    return ["serve", ...(this.options.demo ? ["--demo"] : []), ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])];
  }

  /** Starts on the same data and the same ports. */
  async boot() {
    const { env = {} } = this.options;
    this.program = new Program("trunkline", TRUNKLINE, this.arguments(), { env: { ...process.env, NO_COLOR: "1", ...env } });
    const ready = async () => {
      if (!this.program.running) throw new Error("it ended");
      if (!(await fetch(`${this.web}/readyz`)).ok) return undefined;
      return this.options.demo ? JSON.parse(await fs.readFile(path.join(this.data, "demo.json"), "utf8")) : { http: this.web };
    };
    const failed = this.program.failed;
    this.demo = await Promise.race([until("the server to be ready", ready, { within: 60_000 }), failed]).catch(async (error) => {
      await this.program.stop("SIGKILL");
      throw new Error(`${error.message}\n${this.program.tail()}`);
    });
    return this.demo;
  }

  get web() {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  agent(username) {
    return this.demo.sip.agents.find((agent) => agent.username === username);
  }

  /** The first number that leads to a flow. */
  get number() {
    return this.demo.sip.numbers.find((number) => number.flow).e164;
  }

  /** The CloudTalk API as a client of the company sees it. */
  async cloudtalk(method, pathAndQuery, body) {
    const { baseUrl, keyId, keySecret } = this.demo.cloudtalk;
    const headers = { authorization: `Basic ${Buffer.from(`${keyId}:${keySecret}`).toString("base64")}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(baseUrl + pathAndQuery, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, headers: response.headers, bytes, json: isJson ? JSON.parse(bytes.toString("utf8")) : undefined };
  }

  /** All calls, newest first. */
  async calls() {
    return (await this.cloudtalk("GET", "/calls/index.json?limit=100")).json.responseData.data;
  }

  /** The newest call from this number once it is over. */
  async endedCall(from, within = 20_000) {
    return until(`the call from ${from} to be listed as ended`, async () => {
      const call = (await this.calls()).find((call) => call.Cdr.public_external === from);
      return call?.Cdr.ended_at && call;
    }, { within, every: 200 });
  }

  async recording(callId) {
    return this.cloudtalk("GET", `/calls/recording/${callId}.json`);
  }

  /** In order, and the folder with it, unless it is to be looked into. */
  async close(keep = false) {
    await this.program?.stop("SIGTERM", 15_000);
    if (!keep && !process.env.E2E_KEEP) await fs.rm(this.folder, { recursive: true, force: true });
  }
}
