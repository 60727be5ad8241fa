// A server, phones and callers that are all put away when the test is over, whatever happened in it.

import { test } from "node:test";
import { BrowserPhone } from "./browser-phone.js";
import { Caller } from "./caller.js";
import { Phone } from "./phone.js";
import { Server } from "./server.js";
import { UserAgent } from "./user-agent.js";

/** A test with a server of its own, started with these options. When it fails, what the programs said is told with it. */
export function scene(name, play, { skip = false, todo = false, ...options } = {}) {
  test(name, { skip, todo }, async (t) => {
    const it = new Scene(t);
    try {
      it.server = await Server.start({ ...options, data: options.data && ((folder) => options.data(folder, it)) });
      await play(it);
    } catch (error) {
      it.failed = true;
      throw error;
    } finally {
      await it.clear();
    }
  });
}

class Scene {
  constructor(t) {
    this.t = t;
    this.parts = [];
    this.failed = false;
  }

  /**
   * A step of the test. Later steps run when it fails, unless they need what it gives back. `todo` says what the product
   * still owes: such a step may fail.
   */
  async step(name, play, { todo = false } = {}) {
    let gives;
    await this.t.test(name, { todo }, async () => {
      try {
        gives = await play();
      } catch (error) {
        this.failed ||= !todo;
        throw error;
      }
    });
    return gives;
  }

  /** Something with a `close`, ended before what came earlier. */
  adds(part) {
    this.parts.push(part);
    return part;
  }

  async phone(username, options) {
    const phone = this.adds(await Phone.start(this.server, this.server.agent(username), options));
    await phone.registered();
    return phone;
  }

  /** A phone of somebody else: it registers nowhere. */
  async softphone(username, options) {
    return this.adds(await Phone.start(this.server, { username }, { registers: false, ...options }));
  }

  /** An agent's phone in a browser, registered over WebSocket. */
  async browserPhone(username, { awaits = "registered", ...options } = {}) {
    const account = this.server.agent(username);
    const url = `ws://127.0.0.1:${this.server.wsPort}`;
    const phone = this.adds(await BrowserPhone.start({ account, url, domain: this.server.demo.sip.host, ...options }));
    await phone.sees(awaits);
    return phone;
  }

  async caller(options) {
    return this.adds(await Caller.dial(this.server, options));
  }

  /** A caller whose every message the test decides on. */
  async userAgent(options) {
    return this.adds(await UserAgent.open(this.server, options));
  }

  async clear() {
    const programs = [this.server?.program, ...this.parts.map((part) => part.program)].filter(Boolean);
    const [before, after] = [this.parts.filter((part) => !part.outlivesServer), this.parts.filter((part) => part.outlivesServer)];
    for (const part of before.reverse()) await part.close();
    await this.server?.program?.stop("SIGTERM", 15_000);
    for (const part of after.reverse()) await part.close();
    await this.server?.close(this.failed);
    if (this.failed) for (const program of programs) this.t.diagnostic(`\n${program.tail(60)}`);
  }
}
