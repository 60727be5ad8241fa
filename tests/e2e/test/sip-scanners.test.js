// sipvicious against a server that believes no source: it learns nothing, is banned, and the phone behind its address is not.

import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import { run } from "../lib/processes.js";
import { register } from "../lib/registration.js";
import { freePort, udp } from "../lib/ports.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { Wire } from "../lib/sip.js";

// Everybody here is on this machine, which is a carrier's only unless told otherwise.
const STRANGERS = { env: { TRUNKLINE_TRUNK_SOURCES: "203.0.113.0/24" } };

/** Its commands, in a folder of the test's own. */
async function sipvicious(scene) {
  const folder = path.join(scene.server.folder, "sipvicious");
  const made = await run("python3", ["-m", "venv", folder]);
  assert.equal(made.code, 0, made.stderr);
  const installed = await run(path.join(folder, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", "sipvicious==0.3.8"], { within: 120_000 });
  assert.equal(installed.code, 0, installed.stderr);
  return async (tool, args, within = 40_000) => {
    const ran = await run(path.join(folder, "bin", `sipvicious_${tool}`), args, { within, cwd: folder });
    return ran.stdout + ran.stderr;
  };
}

scene("svmap, svwar and svcrack learn nothing and are banned", async (scene) => {
  const { server } = scene;
  const { host, port } = server.demo.sip;
  const attack = await sipvicious(scene);
  const bans = async (...words) => (await run(TRUNKLINE, ["bans", ...words, "--data", server.data])).stdout;

  await scene.step("svmap finds a SIP server and nothing more than its name", async () => {
    const map = await attack("svmap", [host, "-p", String(port)]);
    assert.doesNotMatch(map, /100[1-4]|Demo/);
  });

  await scene.step("svwar sees no difference between an extension and none", async () => {
    for (const method of ["REGISTER", "INVITE", "OPTIONS"]) {
      const said = await attack("svwar", ["-e", "995-1005", "--force", "--maximumtime=3", "-m", method, "-p", String(port), "-D", host]);
      // What it lists are the extensions that answered otherwise than one that can't exist.
      assert.doesNotMatch(said, /\b100[1-4]\b.*(reqauth|noauth|weird)/, `${method}:\n${said}`);
      await bans("lift", "127.0.0.1");
    }
  });

  await scene.step("the answers are the same octet by octet, but for what must differ", async () => {
    const answers = await Promise.all(["1001", "1999", "nobody"].map(async (user) => {
      const wire = scene.adds(await Wire.open(server));
      const answer = await wire.ask(wire.request("REGISTER", `sip:${host}`, { To: `<sip:${user}@x>`, From: `<sip:${user}@x>;tag=t`, Via: `SIP/2.0/UDP 127.0.0.1:${wire.port};branch=z9hG4bKsame${user}` }));
      return [answer.status, ...answer.head].join("\n").replaceAll(/nonce="[^"]+"|tag=\w+|127.0.0.1:\d+|branch=\w+|\w+@127.0.0.1/g, "").replaceAll(user, "USER");
    }));
    assert.equal(new Set(answers).size, 1, answers.join("\n\n"));
  });

  // It stops at a challenge with SHA-256, which comes first; so that it does its worst, the way to the server takes that out.
  const relay = scene.adds(await weakened({ host, port }));
  const words = path.join(server.folder, "words");
  const wrong = Array.from({ length: 40 }, (_, index) => `wrong-${index}`);
  await fs.writeFile(words, [...wrong, server.agent("1002").password, ""].join("\n"));
  const crack = () => attack("svcrack", ["-u1002", "-p", String(relay.port), "-d", words, "--maximumtime=4", host], 20_000);

  await scene.step("svcrack doesn't find the password in a list that holds it, and is banned", async () => {
    const said = await crack();
    assert.ok(relay.asked > 10, "it did try");
    assert.ok(!said.includes(server.agent("1002").password), said);
    assert.match(await bans("list"), /^127\.0\.0\.1 .*every account.*until/m);
    const log = await fs.readFile(path.join(server.data, "security.log"), "utf8");
    assert.match(log, /SecurityEvent="(InvalidPassword|ChallengeResponseFailed)".*RemoteAddress="IPV4\/UDP\/127\.0\.0\.1\/\d+"/);
    await bans("lift", "127.0.0.1");
  });

  await scene.step("a phone behind the same address goes on while only the guessed account is shut out there", async () => {
    const phone = { port: await freePort() };
    await register(server, server.agent("1001"), phone);
    await crack();
    const listed = JSON.parse(await bans("list", "--json"));
    assert.deepEqual(listed.map(({ account }) => account), ["1002"]);
    await register(server, server.agent("1001"), phone);
    await assert.rejects(register(server, server.agent("1002"), { port: await freePort() }));
  });
  assert.ok(server.program.running);
}, STRANGERS);

/** A relay that leaves only the MD5 challenge in the server's answers. */
async function weakened({ host, port }) {
  const [outside, inside] = [await udp(0), await udp(0)];
  const relay = { port: outside.address().port, asked: 0, close: () => [outside, inside].forEach((socket) => socket.close()) };
  let client;
  outside.on("message", (packet, from) => {
    client = from.port;
    relay.asked += 1;
    inside.send(packet, port, host);
  });
  inside.on("message", (packet) => outside.send(packet.toString("latin1").replace(/WWW-Authenticate: [^\r]*SHA-256[^\r]*\r\n/, ""), client, host));
  return relay;
}
