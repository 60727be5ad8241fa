// Phones that speak TLS: linphone and baresip, registered, called and held over it.

import assert from "node:assert/strict";
import { noWrapUp, routeTo } from "../lib/dialog-runs.js";
import { Linphone } from "../lib/linphone.js";
import { freePort } from "../lib/ports.js";
import { run } from "../lib/processes.js";
import { scene } from "../lib/scene.js";
import { TRUNKLINE } from "../lib/server.js";
import { certificate } from "../lib/tls.js";

const files = await certificate();
const tls = await freePort();
const env = { TRUNKLINE_SIP_TLS: `127.0.0.1:${tls}`, TRUNKLINE_SIP_TLS_CERT: files.cert, TRUNKLINE_SIP_TLS_KEY: files.key };
process.on("exit", () => void files.remove());

scene("phones register, are called and hold over TLS", async (scene) => {
  const { server } = scene;
  const [first, second] = server.demo.sip.numbers.map(({ e164 }) => e164);
  await noWrapUp(server);
  await routeTo(server, "Sales", first);
  await routeTo(server, "Support", second);
  const other = server.demo.sip.agents.find(({ groups }) => groups.includes("Support") && !groups.includes("Sales")) ?? server.agent("1003");

  await scene.step("linphone", async () => {
    const phone = scene.adds(await Linphone.start(server, server.agent("1001"), { port: tls }));
    await phone.shows(/registered, identity=sip:1001@/, { again: "status register" });
    await run(TRUNKLINE, ["trace", "start", "--device", "1001", "--data", server.data]);
    const caller = await scene.userAgent({ from: "+421900000741", to: first });
    await caller.isAnswered();
    await phone.shows(/is contacting you|Receiving new incoming call/);
    phone.says("answer");
    await phone.shows(/Call \d+ with .* connected/);
    phone.says("pause");
    await phone.shows(/paused/i);
    phone.says("resume");
    await phone.shows(/resum|streams running/i);
    assert.equal(await caller.hangup(), 200);
    await phone.shows(/Call \d+ with .* ended/);
    assert.ok((await server.endedCall("+421900000741")).Cdr.answered_at);
    const { stdout } = await run(TRUNKLINE, ["trace", "show", "1", "--ladder", "--data", server.data]);
    const lines = stdout.split("\n").slice(2).filter(Boolean);
    assert.ok(lines.some((line) => /INVITE.*TLS/.test(line)), stdout);
    assert.ok(lines.every((line) => /TLS(, again)?$/.test(line) || /UDP(, again)?$/.test(line)), stdout);
    assert.ok(lines.filter((line) => /INVITE SDP/.test(line) && /TLS/.test(line)).length >= 3, `the call, hold and resume:\n${stdout}`);
  });

  await scene.step("baresip", async () => {
    const phone = await scene.phone(other.username, { transport: "tls", at: tls });
    const caller = await scene.userAgent({ from: "+421900000742", to: second });
    await caller.isAnswered();
    await phone.sees("CALL_ESTABLISHED");
    phone.hangup();
    await caller.isOver();
    assert.ok((await server.endedCall("+421900000742")).Cdr.answered_at);
  });
}, { env });
