// A supervisor takes part in a conversation: who hears whom, by tones, and that the customer never hears a whisper.

import assert from "node:assert/strict";
import path from "node:path";
import { amplitude, readWav, tone } from "../lib/audio.js";
import { accessible } from "../lib/accessible.js";
import { Person } from "../lib/browser.js";
import { Console } from "../lib/console.js";
import { DeskPhone } from "../lib/desk-phone.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

const PITCHES = { customer: 410, agent: 650, supervisor: 890 };

/** Whose tones are in the newest half second that somebody heard. */
function heardBy(audio) {
  const samples = Int16Array.from(audio.heard.slice(-4000));
  return Object.keys(PITCHES).filter((name) => amplitude(samples, PITCHES[name]) > 0.02);
}

scene("a supervisor listens, whispers and joins", async (scene) => {
  const { server } = scene;
  const { email } = server.demo.console;
  // Whoever signs in to the console is rung at the phone of the agent with his address.
  const named = await run("sqlite3", ["-cmd", ".timeout 5000", path.join(server.data, "trunkline.db"), `update agents set email = '${email}' where sip_username = '1002'`]);
  assert.equal(named.code, 0, named.stderr);
  const console = await Console.of(server);
  const agent = scene.adds(await DeskPhone.start(server, server.agent("1001")));
  const from = "+421900000951";
  const caller = await scene.userAgent({ from });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  const line = await agent.rung(60_000);
  await until("the agent to be heard", () => caller.audio.heardPackets > 0 && line.audio.remote);
  caller.audio.play(tone(PITCHES.customer, 1));
  line.audio.play(tone(PITCHES.agent, 1));
  await caller.audio.hearsTone(PITCHES.agent, 0.5);

  const supervisor = scene.adds(await DeskPhone.start(server, server.agent("1002")));
  const { id } = (await console.get("/calls")).items[0];
  const monitors = async (mode) => {
    const asked = await console.change("POST", `/calls/${id}/monitor`, { mode });
    assert.equal(asked.status, 202, asked.text);
  };
  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });
  await scene.step("the page of the running call offers it, and his phone rings", async () => {
    await person.page.goto(`${server.web}/calls`);
    await person.signIn(server.demo.console);
    await person.page.getByText(from).first().click();
    await person.page.getByRole("button", { name: "Listen in" }).click();
    await person.page.getByRole("menuitem", { name: "Whisper" }).waitFor();
    await person.photographs("monitor-menu");
    await person.page.getByRole("menuitem", { name: "Listen" }).click();
    await person.page.getByText("Your phone rings.").waitFor();
  });
  const ears = await supervisor.rung();
  ears.audio.play(tone(PITCHES.supervisor, 1));
  const parties = { customer: caller.audio, agent: line.audio, supervisor: ears.audio };
  const modes = [
    ["listen", { customer: ["agent"], agent: ["customer"], supervisor: ["customer", "agent"] }],
    ["whisper", { customer: ["agent"], agent: ["customer", "supervisor"], supervisor: ["customer", "agent"] }],
    ["barge", { customer: ["agent", "supervisor"], agent: ["customer", "supervisor"], supervisor: ["customer", "agent"] }],
  ];
  for (const [mode, hears] of modes) {
    await scene.step(`${mode}: each hears whom he should`, async () => {
      if (mode !== "listen") await monitors(mode);
      const now = () => Object.fromEntries(Object.entries(parties).map(([name, audio]) => [name, heardBy(audio)]));
      await until(`the mix of ${mode}`, () => JSON.stringify(now()) === JSON.stringify(hears), { within: 10_000 }).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(now())}`);
      });
      // Not once in a second does the customer hear what is not for him.
      const before = caller.audio.heard.length;
      await until("a second of it", () => caller.audio.heard.length >= before + 8000);
      const second = Int16Array.from(caller.audio.heard.slice(before, before + 8000));
      assert.equal(amplitude(second, PITCHES.supervisor) > 0.005, mode === "barge");
    });
  }
  assert.equal(await ears.hangup(), 200);
  await until("two to be left", () => JSON.stringify(heardBy(caller.audio)) === '["agent"]');
  assert.equal(await caller.hangup(), 200);
  const call = await server.endedCall(from);
  const { channels } = readWav((await server.recording(call.Cdr.id)).bytes);
  for (const [channel, own] of [PITCHES.customer, PITCHES.agent].entries()) {
    assert.ok(amplitude(channels[channel].subarray(-8000), own) > 0.05, `${own} Hz is in channel ${channel}`);
    assert.ok(amplitude(channels[channel], PITCHES.supervisor) < 0.005, "the supervisor is in no recording");
  }
  await scene.step("the pages of recordings and sounds can be read by everybody", async () => {
    for (const [page, heading] of [["/recordings", "Recordings"], ["/sounds", "Sounds"]]) {
      await person.page.goto(server.web + page);
      await person.page.getByRole("heading", { name: heading, exact: true }).first().waitFor();
      await accessible(person, `page${page.replace("/", "-")}`);
    }
  });
});
