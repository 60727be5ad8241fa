// The real `membrane`, typed into a shell as a person or an agent would, with a home folder of its own.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { run } from "./processes.js";
import { MEMBRANE } from "./server.js";

export class Membrane {
  /** @param {import("./server.js").Server} server */
  static async at(server, env = {}) {
    const membrane = new Membrane();
    membrane.home = await fs.mkdtemp(path.join(server.folder, "home-"));
    // Only the address differs from what the instructions say: the server is not on its default port.
    membrane.env = { PATH: `${path.dirname(MEMBRANE)}:${process.env.PATH}`, HOME: membrane.home, MEMBRANE_API_URI: server.demo.membrane.apiUri, ...env };
    return membrane;
  }

  /** Runs one line in `sh`, in the home folder. */
  async type(line, { within } = {}) {
    return run("/bin/sh", ["-c", line], { cwd: this.home, env: this.env, within });
  }

  /** As `type`, and it must work. */
  async does(line, options) {
    const ran = await this.type(line, options);
    assert.equal(ran.code, 0, `${line}\nstdout: ${ran.stdout.slice(0, 2000)}\nstderr: ${ran.stderr}`);
    return ran;
  }

  /** As `does`, and stdout is one JSON value. */
  async json(line, options) {
    const ran = await this.does(line, options);
    return parse(line, ran);
  }

  /** It must end with this code; what it says about it is parsed when it is JSON. */
  async fails(line, code) {
    const ran = await this.type(line);
    assert.equal(ran.code, code, `${line}\nstdout: ${ran.stdout.slice(0, 2000)}\nstderr: ${ran.stderr}`);
    return line.includes("--json") ? parse(line, ran) : ran;
  }

  file(name) {
    return path.join(this.home, name);
  }
}

function parse(line, ran) {
  try {
    return JSON.parse(ran.stdout);
  } catch (error) {
    throw new Error(`${line} did not print JSON (${error.message}): ${ran.stdout.slice(0, 2000)}\nstderr: ${ran.stderr}`);
  }
}

/** For single quotes in a shell. */
export const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
