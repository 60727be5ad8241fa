// SIP over a stream: messages in pieces, several in one packet, and what is no message at all.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Stream } from "../lib/sip.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

scene("SIP over TCP: pieces, pipelines and nonsense", async (scene) => {
  const { server } = scene;
  const { host, port } = server.demo.sip;
  const home = `sip:${host}:${port}`;
  const target = `sip:${server.number}@${host}:${port}`;
  const open = async () => scene.adds(await Stream.open(server));
  const request = (method, uri, changes = {}, body = "") => {
    const id = randomBytes(6).toString("hex");
    const headers = {
      Via: `SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bK${id};rport`, "Max-Forwards": "70", From: `<sip:+421900000790@127.0.0.1>;tag=${id}`, To: `<${uri}>`,
      "Call-ID": `${id}@127.0.0.1`, CSeq: `1 ${method}`, Contact: "<sip:test@127.0.0.1:5999;transport=tcp>", "Content-Length": String(Buffer.byteLength(body)), ...changes,
    };
    const lines = Object.entries(headers).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}`);
    return [`${method} ${uri} SIP/2.0`, ...lines, "", body].join("\r\n");
  };

  await scene.step("a request in pieces of any size is one request", async () => {
    for (const piece of [1, 7, 100]) {
      const stream = await open();
      await stream.send(request("OPTIONS", home), piece);
      assert.deepEqual((await stream.hears(1)).map((answer) => answer.status), [200], `pieces of ${piece}`);
    }
  });

  await scene.step("a body in pieces belongs to its head", async () => {
    const stream = await open();
    await stream.send(request("INVITE", `sip:+421299999999@${host}:${port}`, { "Content-Type": "application/sdp" }, "v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"), 13);
    assert.equal((await stream.hears(1))[0].status, 404);
  });

  await scene.step("ten requests in one packet get ten answers, each its own", async () => {
    const stream = await open();
    const ids = Array.from({ length: 10 }, (_, n) => `pipe-${n}-${randomBytes(4).toString("hex")}`);
    await stream.send(ids.map((id) => request("OPTIONS", home, { "Call-ID": id })).join(""));
    const answers = await stream.hears(10);
    assert.ok(answers.every((answer) => answer.status === 200));
    assert.deepEqual(answers.map((answer) => answer.headers["call-id"]).sort(), ids.sort());
  });

  await scene.step("malformed requests get their status, and the stream goes on after them", async () => {
    const cases = [
      ["no Call-ID", 400, request("INVITE", target, { "Call-ID": null })],
      ["no CSeq", 400, request("OPTIONS", home, { CSeq: null })],
      ["CSeq of another method", 400, request("OPTIONS", home, { CSeq: "1 INVITE" })],
      ["a method nobody knows", 405, request("BREW", home)],
      ["another scheme", 416, request("INVITE", "nobodyknows:abc")],
      ["a required extension", 420, request("INVITE", target, { Require: "nothing-real" })],
      ["no hops left", 483, request("INVITE", target, { "Max-Forwards": "0" })],
      ["another version", 505, request("OPTIONS", home).replace("SIP/2.0\r\n", "SIP/7.0\r\n")],
    ];
    for (const [what, status, text] of cases) {
      const stream = await open();
      await stream.send(text + request("OPTIONS", home));
      const answers = await stream.hears(2).catch((error) => assert.fail(`${what}: ${error.message}`));
      assert.deepEqual(answers.map((answer) => answer.status).sort(), [status, 200].sort(), what);
    }
  });

  await scene.step("what can't be framed ends its own connection and no other", async () => {
    const cases = {
      "a length that is no number": request("OPTIONS", home, { "Content-Length": "many" }),
      "a negative length": request("OPTIONS", home, { "Content-Length": "-5" }),
      "a length past all measure": request("OPTIONS", home, { "Content-Length": "99999999999999999999" }),
      "a gigabyte to come": request("OPTIONS", home, { "Content-Length": "1000000000" }),
      "a head without an end": `OPTIONS ${home} SIP/2.0\r\n${"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(20_000)}`,
      noise: randomBytes(200_000).toString("latin1").replaceAll("\r", "r"),
    };
    const bystander = await open();
    for (const [what, text] of Object.entries(cases)) {
      const stream = await open();
      await stream.send(text);
      await until(`${what}: an answer or the end of the connection`, () => stream.gone || stream.answers.some((answer) => answer.status >= 400), { within: 10_000 });
    }
    await bystander.send(request("OPTIONS", home));
    assert.equal((await bystander.hears(1))[0].status, 200);
  });

  await scene.step("another protocol gets no answer, and SIP after it does", async () => {
    const stream = await open();
    await stream.send(`GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n${request("OPTIONS", home)}`);
    assert.deepEqual((await stream.hears(1)).map((answer) => answer.status), [200]);
  });

  await scene.step("keep-alives between requests are no requests", async () => {
    const stream = await open();
    await stream.send(`\r\n\r\n${request("OPTIONS", home)}\r\n\r\n\r\n${request("OPTIONS", home)}`);
    assert.deepEqual((await stream.hears(2)).map((answer) => answer.status), [200, 200]);
  });

  assert.ok(server.program.running);
  assert.doesNotMatch(server.program.log, /panicked/);
});
