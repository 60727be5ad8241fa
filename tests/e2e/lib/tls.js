// A certificate for tests, signed by itself.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import os from "node:os";
import { X509Certificate, createHash } from "node:crypto";
import path from "node:path";
import { run } from "./processes.js";

/** Files of a certificate and its key: `{cert, key}`. `pin` is the hash of the key by which Chromium may be told to believe it. */
export async function certificate() {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "trunkline-e2e-tls-"));
  const [cert, key] = ["cert.pem", "key.pem"].map((name) => path.join(folder, name));
  const made = await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]);
  assert.equal(made.code, 0, made.stderr);
  const pin = createHash("sha256").update(new X509Certificate(await fs.readFile(cert)).publicKey.export({ type: "spki", format: "der" })).digest("base64");
  return { cert, key, pin, remove: () => fs.rm(folder, { recursive: true, force: true }) };
}
