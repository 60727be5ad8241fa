// Each dialog case with SIPp as the carrier and as the phone, by UDP and by TCP.

import assert from "node:assert/strict";
import { carrierCases, lane, noWrapUp, phoneCase, phoneCases, phonesCases } from "../lib/dialog-runs.js";
import { PHONE } from "../lib/dialogs.js";
import { scene } from "../lib/scene.js";
import { until } from "../lib/until.js";

scene("a carrier's dialogs go as the standards say, by UDP and by TCP", async (scene) => {
  await Promise.all(["udp", "tcp"].map((transport) => carrierCases(scene, { transport })));
  await scene.step("CANCEL crosses the answer", async () => {
    const agent = await scene.userAgent({ from: "+421900000898" });
    assert.equal(await agent.cancels(), 200);
    const { status } = await until("an answer to INVITE", () => agent.statuses.find(({ method, status }) => method === "INVITE" && status >= 200));
    // Whoever was first has won, and both sides know it.
    assert.ok(status === 487 || (status === 200 && (await agent.hangup()) === 200), String(status));
  });
  await scene.step("BYE crosses a re-INVITE", async () => {
    const agent = await scene.userAgent({ from: "+421900000899" });
    await agent.isAnswered();
    const [change, bye] = await Promise.all([agent.says("INVITE", { body: agent.sdp("sendonly") }), agent.says("BYE")]);
    assert.equal(bye, 200);
    assert.ok(change === 200 || change >= 400, String(change));
  });
  await until("all calls to be over", async () => (await scene.server.calls()).every((call) => call.Cdr.ended_at));
});

scene("a phone's dialogs go as the standards say, by UDP and by TCP", async (scene) => {
  const { server } = scene;
  await noWrapUp(server, { aside: ["1002", "1004"] });
  const [sales, support] = ["Sales", "Support"].map((group) => server.demo.sip.agents.find(({ groups }) => groups.length === 1 && groups[0] === group) ?? server.demo.sip.agents.find(({ groups }) => groups.includes(group)));
  const lanes = await Promise.all([
    lane(server, { transport: "udp", username: sales.username, group: "Sales", number: server.demo.sip.numbers[0].e164, algorithm: "MD5", colleague: "1002" }),
    lane(server, { transport: "tcp", username: support.username, group: "Support", number: server.demo.sip.numbers[1].e164, algorithm: "SHA-256", colleague: "1004" }),
  ]);
  await phoneCases(scene, lanes);
  await phonesCases(scene, lanes);
  await scene.step("a server that starts anew still knows its phones", async () => {
    await server.program.stop("SIGTERM", 15_000);
    await server.boot();
    await Promise.all(lanes.map((lane) => phoneCase(scene, lane, "after a restart", PHONE["answers, and its caller hangs up"])));
  });
});
