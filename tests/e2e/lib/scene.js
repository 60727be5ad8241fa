// A server, phones and callers that are all put away when the test is over, whatever happened in it.

import { Caller } from "./caller.js";
import { Phone } from "./phone.js";
import { Server } from "./server.js";

export class Scene {
  /** @param {import("node:test").TestContext} t */
  static async set(t, serverArgs = []) {
    const scene = new Scene();
    scene.parts = [];
    t.after(() => scene.clear(t));
    scene.server = await Server.start(serverArgs);
    return scene;
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

  async caller(options) {
    return this.adds(await Caller.dial(this.server, options));
  }

  async clear(t) {
    for (const part of this.parts.reverse()) await part.close();
    if (!this.server) return;
    // Seen only when the test failed; the server's own words are then what one wants first.
    t.diagnostic(this.server.program.tail(process.env.E2E_LOG ? 400 : 15));
    await this.server.close();
  }
}
