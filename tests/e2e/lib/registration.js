// Registering a device from a port that another program then listens on: SIPp gives up at a challenge with more than MD5.

import assert from "node:assert/strict";
import dgram from "node:dgram";
import net from "node:net";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { digest, parseMessage } from "./sip.js";
import { until } from "./until.js";

/** What carries a request from a port of ours to the server, and its answers back. */
async function wire(transport, port, { host, port: to }) {
  const answers = [];
  const take = (data) => answers.push(parseMessage(data.toString("utf8")));
  if (transport === "udp") {
    const socket = dgram.createSocket("udp4");
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    socket.on("message", take);
    return { answers, send: (text) => socket.send(text, to, host), close: () => new Promise((resolve) => socket.close(resolve)) };
  }
  const socket = net.connect({ port: to, host });
  await once(socket, "connect");
  socket.on("data", take);
  socket.on("error", () => {});
  return { answers, send: (text) => socket.write(text), close: () => socket.destroy() };
}

/**
 * Registers, proves the password with the algorithm asked for, and leaves the port.
 * @returns {Promise<{head: string[]}>} the 200
 */
export async function register(server, agent, { transport = "udp", port, target = server.demo.sip, algorithm = "SHA-256", expires = 600 }) {
  const on = await wire(transport, port, target);
  const [callId, tag] = [randomBytes(8).toString("hex"), randomBytes(4).toString("hex")];
  const uri = `sip:${target.host}:${target.port}`;
  const ask = async (cseq, more = []) => {
    on.send([
      `REGISTER ${uri} SIP/2.0`, `Via: SIP/2.0/${transport.toUpperCase()} 127.0.0.1:${port};branch=z9hG4bK${randomBytes(8).toString("hex")};rport`, "Max-Forwards: 70",
      `From: <sip:${agent.username}@${target.host}>;tag=${tag}`, `To: <sip:${agent.username}@${target.host}>`, `Call-ID: ${callId}`, `CSeq: ${cseq} REGISTER`,
      `Contact: <sip:${agent.username}@127.0.0.1:${port};transport=${transport}>`, `Expires: ${expires}`, ...more, "Content-Length: 0", "", "",
    ].join("\r\n"));
    return until(`an answer to REGISTER ${cseq}`, () => on.answers.find((answer) => answer?.headers.cseq === `${cseq} REGISTER` && answer.status >= 200));
  };
  try {
    const challenges = (await ask(1)).head.filter((line) => /^www-authenticate:/i.test(line));
    const challenge = challenges.find((line) => line.includes(`algorithm=${algorithm}`));
    assert.ok(challenge, `a challenge for ${algorithm} in ${challenges}`);
    const answer = await ask(2, [`Authorization: ${digest(challenge, agent.username, agent.password, "REGISTER", uri)}`]);
    assert.equal(answer.status, 200, answer.reason);
    return answer;
  } finally {
    await on.close();
  }
}
