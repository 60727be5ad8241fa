// A browser that speaks Opus only, with phones and carriers that know G.711 only; and calls that begin in a browser.

import assert from "node:assert/strict";
import { readWav, stretchOf, tone } from "../lib/audio.js";
import { AGENT_HZ, CALLER_HZ, reaches } from "../lib/browser-scenes.js";
import { DeskPhone } from "../lib/desk-phone.js";
import { scene } from "../lib/scene.js";

scene("a browser with Opus calls a desk phone and is called through a carrier", async (scene) => {
  const { server } = scene;
  const browser = await scene.browserPhone("1001", { library: "JsSIP", tone: AGENT_HZ, codecs: ["audio/opus"] });
  const desk = scene.adds(await DeskPhone.start(server, server.agent("1002")));

  await scene.step("it calls a colleague: both hear each other, transcoded", async () => {
    await browser.does("call", "1002");
    const line = await desk.rung();
    await browser.sees("established");
    line.audio.play(tone(CALLER_HZ, 1));
    await browser.hears(CALLER_HZ);
    await line.audio.hearsTone(AGENT_HZ, 1);
    const stats = await browser.stats();
    assert.deepEqual([stats.codec, stats.dtls], ["audio/opus", "connected"]);
    await browser.does("hangUp");
    await line.isOver();
    desk.close();
  });

  await scene.step("a customer calls by G.711: both hear each other, each in his channel of the recording", async () => {
    const from = "+421900000941";
    const caller = await reaches(scene, from);
    await browser.sees("incoming", { within: 60_000 });
    await browser.does("answer");
    await browser.sees("established", { times: 2 });
    caller.audio.play(tone(CALLER_HZ, 1));
    await browser.hears(CALLER_HZ);
    await caller.audio.hearsTone(AGENT_HZ, 1);
    assert.equal((await browser.stats()).codec, "audio/opus");
    assert.equal(await caller.hangup(), 200);
    await browser.sees("terminated", { times: 2 });
    const call = await server.endedCall(from);
    const { channels } = readWav((await server.recording(call.Cdr.id)).bytes);
    assert.ok(stretchOf(channels[0], CALLER_HZ, 0.5), "the customer is in the left channel");
    assert.ok(stretchOf(channels[1], AGENT_HZ, 0.5), "the agent is in the right channel");
  });
}, { ws: true });
