// Phones in a real browser, with SIP.js and JsSIP as they are published.

import assert from "node:assert/strict";
import { BrowserPhone } from "../lib/browser-phone.js";
import { scene } from "../lib/scene.js";

for (const library of ["SIP.js", "JsSIP"]) {
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
}
