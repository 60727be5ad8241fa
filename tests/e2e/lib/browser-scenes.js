// What every browser phone must do, whichever library its page is made with.

import assert from "node:assert/strict";
import { readWav, stretchOf, tone } from "./audio.js";
import { BrowserPhone } from "./browser-phone.js";
import { scene } from "./scene.js";
import { until } from "./until.js";

export const CALLER_HZ = 440;
export const AGENT_HZ = 700;

/** A caller who came through the menu to the agent's queue. */
export async function reaches(scene, from) {
  const caller = await scene.userAgent({ from });
  await caller.isAnswered();
  await caller.audio.hearsSound();
  caller.audio.press("1");
  return caller;
}

/** The tests of one library; `number` makes callers. */
export function phonesWith(library, number) {
  scene(`${library}: registers, again after a restart of the server, and not with a wrong password`, async (scene) => {
    const { server } = scene;
    const phone = await scene.browserPhone("1001", { library });
    await server.program.stop("SIGTERM", 15_000);
    await phone.sees("disconnected");
    await server.boot();
    await phone.sees("registered", { times: 2, within: 20_000 });
    await phone.does("leave");
    await phone.sees("unregistered");

    const account = { ...server.agent("1002"), password: "wrong" };
    const stranger = scene.adds(await BrowserPhone.start({ library, account, url: `ws://127.0.0.1:${server.wsPort}`, domain: server.demo.sip.host }));
    const refused = await stranger.sees("registration refused");
    assert.equal(refused.detail, "403");
    assert.equal(await stranger.count("registered"), 0);
  }, { ws: true });

  scene(`${library}: a call from the queue, heard on both sides and recorded`, async (scene) => {
    const { server } = scene;
    const phone = await scene.browserPhone("1001", { library, tone: AGENT_HZ });
    const caller = await reaches(scene, number(1));
    const incoming = await phone.sees("incoming", { within: 40_000 });
    assert.equal(incoming.detail.replace(/^\+?/, "+"), number(1));
    await phone.does("answer");
    await phone.sees("established");
    caller.audio.play(tone(CALLER_HZ, 1));
    await phone.hears(CALLER_HZ);
    await caller.audio.hearsTone(AGENT_HZ, 1);

    await scene.step("the audio is protected, and PCMU as the caller's", async () => {
      const stats = await phone.stats();
      assert.equal(stats.dtls, "connected");
      assert.equal(stats.codec, "audio/PCMU");
      assert.ok(stats.srtp, JSON.stringify(stats));
      assert.equal(stats.lost, 0);
      assert.equal(stats.source, stats.announced, "what it hears comes from the source it was told");
      const events = await phone.events();
      // SIP.js hands its connection out when it may have begun already.
      const states = events.filter(({ type }) => type === "connection");
      const took = states.find(({ detail }) => detail === "connected").at - states[0].at;
      scene.t.diagnostic(`${library}: ${Math.round(took)} ms for ICE and DTLS, ${stats.tls}, ${stats.srtp}`);
      assert.ok(took < 3000, `${took} ms`);
    });

    await scene.step("mute: the caller hears nothing, then the agent again", async () => {
      await phone.does("mute");
      await until("the agent's tone to end", () => !stretchOf(Int16Array.from(caller.audio.heard.slice(-4000)), AGENT_HZ, 0.4));
      await phone.does("unmute");
      await caller.audio.hearsTone(AGENT_HZ, 0.5);
    });

    await scene.step("hold and resume", async () => {
      await phone.does("hold");
      await phone.sees("held");
      await until("the agent's tone to end", () => !stretchOf(Int16Array.from(caller.audio.heard.slice(-4000)), AGENT_HZ, 0.4));
      await phone.does("resume");
      await phone.sees("resumed");
      await caller.audio.hearsTone(AGENT_HZ, 0.5);
      await phone.hears(CALLER_HZ);
    });

    await scene.step("keys arrive once each", async () => {
      await phone.does("press", "5", "rfc4733");
      await until("the key 5", () => caller.audio.pressed.includes("5"));
      await phone.does("press", "#", "rfc4733");
      await until("the key #", () => caller.audio.pressed.includes("#"));
      assert.deepEqual(caller.audio.pressed, ["5", "#"]);
      await caller.audio.hearsTone(AGENT_HZ, 0.5);
    });

    await scene.step("another way through the network: ICE restarts, audio goes on", async () => {
      await phone.does("restartIce");
      await caller.audio.hearsTone(AGENT_HZ, 1);
      await phone.hears(CALLER_HZ);
      const stats = await phone.stats();
      assert.equal(stats.source, stats.announced, "it is told the same source again");
    });

    await phone.does("hangUp");
    await phone.sees("terminated");
    await caller.isOver();
    const call = await server.endedCall(number(1));
    assert.equal(call.Cdr.user_id, String(server.agent("1001").id));
    const { channels } = readWav((await server.recording(call.Cdr.id)).bytes);
    assert.ok(stretchOf(channels[0], CALLER_HZ, 1), "the caller's voice is in the left channel");
    assert.ok(stretchOf(channels[1], AGENT_HZ, 1), "the agent's voice is in the right channel");
  }, { ws: true });

  scene(`${library}: rings beside the desk phone, declines, and is hung up by the caller`, async (scene) => {
    const { server } = scene;
    const desk = await scene.phone("1001", { answer: "manual" });
    const phone = await scene.browserPhone("1001", { library, tone: AGENT_HZ });
    const caller = await reaches(scene, number(2));
    await phone.sees("incoming", { within: 40_000 });
    await desk.sees("CALL_INCOMING");
    await phone.does("answer");
    await phone.sees("established");
    await desk.sees("CALL_CLOSED");
    caller.audio.play(tone(CALLER_HZ, 1));
    await phone.hears(CALLER_HZ);
    await caller.audio.hearsTone(AGENT_HZ, 0.5);
    assert.equal(await caller.hangup(), 200);
    await phone.sees("terminated");
    await server.endedCall(number(2));
  }, { ws: true });
}
