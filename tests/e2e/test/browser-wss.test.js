// Browsers as they are in the field: SIP over a WebSocket that is secured, with a certificate they believe. They call and are called.

import assert from "node:assert/strict";
import { tone } from "../lib/audio.js";
import { AGENT_HZ, CALLER_HZ, reaches } from "../lib/browser-scenes.js";
import { facts } from "../lib/ledger.js";
import { freePort } from "../lib/ports.js";
import { scene } from "../lib/scene.js";
import { certificate } from "../lib/tls.js";
import { until } from "../lib/until.js";

const BOB_HZ = 1200;

const files = await certificate();
const port = await freePort();
const env = { TRUNKLINE_SIP_WSS: `127.0.0.1:${port}`, TRUNKLINE_SIP_TLS_CERT: files.cert, TRUNKLINE_SIP_TLS_KEY: files.key };
process.on("exit", () => void files.remove());

scene("SIP.js and JsSIP register, call and are called over WSS", async (scene) => {
  const { server } = scene;
  const secured = { url: `wss://localhost:${port}`, believes: files.pin };
  const [anna, bob] = await Promise.all([
    scene.browserPhone("1001", { library: "SIP.js", tone: AGENT_HZ, ...secured }), scene.browserPhone("1002", { library: "JsSIP", tone: BOB_HZ, ...secured }),
  ]);
  await scene.step("a browser without the certificate's pin does not get through", async () => {
    const stranger = scene.browserPhone("1003", { library: "JsSIP", ...secured, believes: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", awaits: "disconnected" });
    assert.equal(await (await stranger).count("registered"), 0);
  });
  await scene.step("a customer's call", async () => {
    const caller = await reaches(scene, "+421900000941");
    const rung = await Promise.any([anna, bob].map(async (phone) => (await phone.sees("incoming", { within: 40_000 }), phone)));
    await rung.does("answer");
    await rung.sees("established");
    caller.audio.play(tone(CALLER_HZ, 1));
    await rung.hears(CALLER_HZ);
    await caller.audio.hearsTone(rung === anna ? AGENT_HZ : BOB_HZ, 0.5);
    assert.equal(await caller.hangup(), 200);
    await rung.sees("terminated");
  });
  for (const [one, other, user, hz, theirs] of [[anna, bob, "1002", AGENT_HZ, BOB_HZ], [bob, anna, "1001", BOB_HZ, AGENT_HZ]]) {
    await scene.step(`${one.name} calls a colleague`, async () => {
      const [rung, up, over] = await Promise.all(["incoming", "established", "terminated"].map((type) => other.count(type)));
      const [before, ended] = [await one.count("established"), await one.count("terminated")];
      await one.does("call", user);
      await other.sees("incoming", { times: rung + 1 });
      await other.does("answer");
      await Promise.all([one.sees("established", { times: before + 1 }), other.sees("established", { times: up + 1 })]);
      await Promise.all([one.hears(theirs), other.hears(hz)]);
      await one.does("hangUp");
      await Promise.all([one.sees("terminated", { times: ended + 1 }), other.sees("terminated", { times: over + 1 })]);
    });
    await scene.step(`${one.name} calls the menu and presses a key by INFO`, async () => {
      const [up, ended] = [await one.count("established"), await one.count("terminated")];
      await one.does("call", server.number);
      await one.sees("established", { times: up + 1 });
      const pressed = async () => (await facts(server)).filter(({ type, via }) => type === "digit_pressed" && via === "info").length;
      const known = await pressed();
      await one.does("press", "2", "info");
      await until("the key to be heard once", async () => (await pressed()) === known + 1);
      await one.does("hangUp");
      await one.sees("terminated", { times: ended + 1 });
    });
  }
}, { env });
