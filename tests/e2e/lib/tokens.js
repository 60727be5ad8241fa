// Workspace tokens, made here as a program of the company would make them: by the text of RFC 7519, with no library.

import { createHmac } from "node:crypto";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** `alg` is HS256, HS384, HS512 or none. */
export function jwt(alg, secret, claims) {
  const signed = `${part({ alg, typ: "JWT" })}.${part(claims)}`;
  const hash = alg.match(/^HS(\d+)$/)?.[1];
  return `${signed}.${hash ? createHmac(`sha${hash}`, secret).update(signed).digest("base64url") : ""}`;
}

export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;
