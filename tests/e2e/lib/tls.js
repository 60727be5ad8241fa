// A certificate for tests, signed by itself.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { run } from "./processes.js";

/** Files of a certificate and its key: `{cert, key}`. */
export async function certificate() {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "trunkline-e2e-tls-"));
  const [cert, key] = ["cert.pem", "key.pem"].map((name) => path.join(folder, name));
  const made = await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]);
  assert.equal(made.code, 0, made.stderr);
  return { cert, key, remove: () => fs.rm(folder, { recursive: true, force: true }) };
}
