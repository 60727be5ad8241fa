// Peers that mean harm: slow ones, many at once, floods, and messages past all measure. A good phone is served meanwhile, and memory stays.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import net from "node:net";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { freePort, udp } from "../lib/ports.js";
import { register } from "../lib/registration.js";
import { scene } from "../lib/scene.js";
import { Stream, Wire } from "../lib/sip.js";
import { certificate } from "../lib/tls.js";
import { until } from "../lib/until.js";

const files = await certificate();
const [tls, ws] = [await freePort(), await freePort()];
const env = { TRUNKLINE_SIP_TLS: `127.0.0.1:${tls}`, TRUNKLINE_SIP_TLS_CERT: files.cert, TRUNKLINE_SIP_TLS_KEY: files.key, TRUNKLINE_SIP_WS: `127.0.0.1:${ws}` };
process.on("exit", () => void files.remove());

/** What the server holds in memory, in MB. */
async function resident(server) {
  const status = await fs.readFile(`/proc/${server.program.child.pid}/status`, "utf8");
  return Number(status.match(/VmRSS:\s+(\d+)/)[1]) / 1024;
}

/** Connections that stay; `from` is which address of this machine they come from. */
async function connections(count, port, from) {
  const open = Array.from({ length: count }, () => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress: from });
    socket.on("error", () => {});
    socket.on("close", () => (socket.gone = true));
    return socket;
  });
  await Promise.all(open.map((socket) => Promise.race([once(socket, "connect"), once(socket, "close")])));
  return { open, close: () => open.forEach((socket) => socket.destroy()) };
}

scene("hostile peers harm nobody but themselves", async (scene) => {
  const { server } = scene;
  const { host, port } = server.demo.sip;
  const phone = server.agent("1001");
  /** A phone of another address registers by UDP and by TCP and asks what we can, in good time. */
  const served = async (what) => {
    const begun = Date.now();
    for (const transport of ["udp", "tcp"]) await register(server, phone, { transport, port: await freePort() }).catch((error) => assert.fail(`${what}, by ${transport}: ${error.message}`));
    const stream = scene.adds(await Stream.open(server));
    await stream.send(`OPTIONS sip:${host}:${port} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK${randomBytes(4).toString("hex")};rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:c@d>\r\nCall-ID: ${randomBytes(6).toString("hex")}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`);
    assert.equal((await stream.hears(1))[0].status, 200, what);
    stream.close();
    assert.ok(Date.now() - begun < 4_000, `${what}: it took ${Date.now() - begun} ms`);
  };
  await served("at first");
  const before = await resident(server);

  await scene.step("thousands of connections that say nothing leave room for others", async () => {
    const kinds = await Promise.all([[1_200, port], [1_200, tls], [300, ws]].map(([count, at]) => connections(count, at, "127.0.0.2")));
    await served("beside silent connections");
    for (const kind of kinds) kind.close();
  });

  await scene.step("half a request, an octet at a time, holds nobody up", async () => {
    const slow = await connections(100, port, "127.0.0.3");
    const half = `OPTIONS sip:${host} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKslow\r\nX: `;
    for (const socket of slow.open) socket.write(half);
    for (let round = 0; round < 20; round += 1) for (const socket of slow.open) socket.write("a");
    await served("beside slow ones");
    slow.close();
  });

  await scene.step("a flood from one source is limited, and only there", async () => {
    const socket = await udp(0);
    let refused = 0;
    socket.on("message", (packet) => (refused += packet.toString("latin1", 0, 11) === "SIP/2.0 503" ? 1 : 0));
    const wire = { request: Wire.prototype.request, port: socket.address().port };
    for (let at = 0; at < 5_000; at += 1) {
      socket.send(wire.request("OPTIONS", `sip:${host}`), port, host);
      if (at % 100 === 0) await new Promise(setImmediate);
    }
    await until("the flood to be refused", () => refused > 100);
    // 127.0.0.1 flooded; the phone of 127.0.0.4 is another source.
    const stream = net.connect({ port, host: "127.0.0.1", localAddress: "127.0.0.4" });
    stream.write(wire.request("OPTIONS", `sip:${host}`, { Via: "SIP/2.0/TCP 127.0.0.4;branch=z9hG4bKother", "Call-ID": "other" }));
    const [answer] = await once(stream, "data");
    assert.match(answer.toString("latin1"), /^SIP\/2\.0 200/);
    stream.destroy();
    socket.close();
  });

  await scene.step("messages past all measure and noise cost nothing", async () => {
    const socket = await udp(0);
    const wire = { request: Wire.prototype.request, port: socket.address().port };
    const long = wire.request("INVITE", `sip:${server.number}@${host}`, { Subject: "x".repeat(60_000) });
    for (let at = 0; at < 200; at += 1) {
      socket.send(long, port, host, () => {});
      socket.send(randomBytes(1_400), port, host);
      await new Promise(setImmediate);
    }
    const streams = await connections(20, port, "127.0.0.5");
    for (const stream of streams.open) for (let at = 0; at < 20; at += 1) stream.write(randomBytes(16_000));
    await until("those connections to be closed", () => streams.open.every((stream) => stream.gone), { within: 20_000 });
    socket.close();
    await until("the limit to rest", () => served("after noise").then(() => true), { within: 20_000, every: 1_000 });
  });

  const after = await resident(server);
  assert.ok(after - before < 100, `memory grew from ${before.toFixed()} to ${after.toFixed()} MB`);
  assert.doesNotMatch(server.program.log, /panicked/);
  assert.ok(server.program.log.split("\n").length < 300, "noise is counted, not logged line by line");
  scene.t.diagnostic(`resident: ${before.toFixed()} MB before, ${after.toFixed()} MB after`);
}, { env });
