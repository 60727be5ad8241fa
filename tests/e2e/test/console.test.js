// The web app over a company that has just had a call, as people see it, in light and in dark.

import assert from "node:assert/strict";
import { accessible } from "../lib/accessible.js";
import { tone } from "../lib/audio.js";
import { Person } from "../lib/browser.js";
import { scene } from "../lib/scene.js";

const FROM = "+421900000741";

scene("the console shows what happened", async (scene) => {
  const { server } = scene;
  const phone = await scene.phone("1001");
  const caller = await scene.userAgent({ from: FROM });
  await caller.audio.hearsSound();
  caller.audio.press("1");
  await phone.sees("CALL_ESTABLISHED", { within: 40_000 });
  caller.audio.play(tone(440, 1));
  await caller.audio.hearsTone(700, 2);
  await caller.hangup();
  const call = await server.endedCall(FROM);
  // One that nobody took, for the other colour.
  const short = await scene.userAgent({ from: "+421900000742" });
  await short.audio.hearsSound();
  await short.hangup();
  await server.endedCall("+421900000742");

  const person = await Person.arrives();
  scene.adds({ close: () => person.leaves() });
  const { page } = person;
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => message.type() === "error" && troubles.push(message.text()));
  const open = async (path, heading) => {
    await page.goto(server.web + path);
    await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
  };

  await scene.step("sign in leads to the calls, newest first", async () => {
    await page.goto(server.web);
    await accessible(person, "sign-in");
    await person.signIn(server.demo.console);
    await page.getByRole("heading", { level: 1, name: "Calls", exact: true }).waitFor();
    const row = page.getByRole("row").filter({ hasText: FROM });
    await row.waitFor();
    const text = await row.textContent();
    for (const part of [server.number, "Answered"]) assert.ok(text.includes(part), `${part} is not in: ${text}`);
    const numbers = await page.getByRole("row").allTextContents();
    assert.ok(numbers.findIndex((row) => row.includes("742")) < numbers.findIndex((row) => row.includes("741")), numbers.join("\n"));
    await accessible(person, "calls");
  });

  await scene.step("the recording plays, as long as the call's record says", async () => {
    await page.getByRole("button", { name: `Play the call with ${FROM}` }).click();
    const audio = page.getByLabel(`Recording of the call with ${FROM}`);
    await audio.waitFor({ state: "attached" });
    const seconds = await audio.evaluate((element) => new Promise((resolve, reject) => {
      const tell = () => resolve(element.duration);
      if (element.readyState >= 1) tell();
      element.addEventListener("loadedmetadata", tell);
      element.addEventListener("error", () => reject(new Error(`media error ${element.error?.code}`)));
    }));
    const wav = (await server.recording(call.Cdr.id)).bytes;
    const expected = (wav.length - 44) / (8000 * 2 * 2);
    assert.ok(Math.abs(seconds - expected) < 0.3, `${seconds} s in the browser, ${expected} s in the file`);
    assert.ok(expected >= 2);
    await accessible(person, "calls-playing");
  });

  await scene.step("a call's signalling is shown as a ladder, without secrets, and can be downloaded", async () => {
    await page.getByRole("button", { name: `Signalling of the call with ${FROM}` }).click();
    const ladder = page.getByRole("region", { name: "Ladder diagram" });
    await ladder.waitFor();
    assert.match(await ladder.textContent(), /INVITE SDP 1001.*200 OK|INVITE SDP[\s\S]*BYE/);
    await accessible(person, "calls-signalling");
    const href = await page.getByRole("link", { name: "Download for Wireshark" }).getAttribute("href");
    const capture = await page.evaluate(async (href) => [...new Uint8Array(await (await fetch(href)).arrayBuffer())].slice(0, 4), href);
    assert.deepEqual(capture, [0xd4, 0xc3, 0xb2, 0xa1]);
    await page.getByRole("tab", { name: "Messages" }).click();
    await page.getByRole("button", { name: /^INVITE SDP/ }).first().click();
    await page.getByText(/Content-Type: application\/sdp/).first().waitFor();
    await page.getByRole("button", { name: "Close" }).click();
  });

  await scene.step("filters narrow the list and stay in the address", async () => {
    await page.goto(`${server.web}/calls?status=missed`);
    await page.getByRole("row").filter({ hasText: "742" }).waitFor();
    assert.equal(await page.getByRole("row").filter({ hasText: FROM }).count(), 0);
  });

  for (const [path, heading, shows] of [
    ["/agents", "Agents", ["1001", "Sales", "Registered"]],
    ["/connections", "Connections", ["Nothing is connected yet"]],
    ["/start", "Get started", [server.number, server.demo.membrane.apiUri]],
  ]) {
    await scene.step(`${heading} shows what there is`, async () => {
      await open(path, heading);
      for (const text of shows) await page.getByText(text).first().waitFor();
      await accessible(person, path.slice(1));
    });
  }

  await scene.step("a connection shows with its state", async () => {
    const { apiUri, token } = server.demo.membrane;
    const made = await fetch(`${apiUri}/connections/ensure`, {
      method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify({ appUrl: "https://www.cloudtalk.io/" }),
    });
    const connection = await made.json();
    await open("/connections", "Connections");
    await page.getByText("Needs you").waitFor();
    await accessible(person, "connections-one");
    await page.goto(connection.clientAction.uiUrl);
    await page.getByRole("button", { name: "Connect this phone system" }).waitFor();
    await accessible(person, "connect");
    await person.connectsThisPhone();
    await accessible(person, "connected");
    await open("/connections", "Connections");
    await page.getByText("Ready").waitFor();
  });

  await scene.step("it fits a telephone", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    for (const [path, heading] of [["/calls", "Calls"], ["/agents", "Agents"], ["/start", "Get started"]]) {
      await open(path, heading);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wider <= 0, `${path} is ${wider} px wider than the screen`);
      await person.photographs(`small${path.replace("/", "-")}`);
    }
  });

  await scene.step("no page complained", () => assert.deepEqual(troubles, []));
});
