// The console's interface, as the web app uses it: signed in with a cookie, changing things with the token from `/me`.

import assert from "node:assert/strict";

export class Console {
  /** Signs in as the demo company's owner. */
  static async of(server) {
    const console = new Console();
    console.base = `${server.web}/console/api`;
    const page = await fetch(`${server.web}/sign-in`);
    const jar = cookies(page);
    const form = await page.text();
    const csrf = /name="csrf"[^>]*value="([^"]*)"/.exec(form)?.[1] ?? "";
    const { email, password } = server.demo.console;
    const answer = await fetch(`${server.web}/sign-in`, {
      method: "POST", redirect: "manual", headers: { "content-type": "application/x-www-form-urlencoded", cookie: jar, origin: server.web },
      body: new URLSearchParams({ email, password, csrf, return_to: "/calls" }),
    });
    console.cookie = [jar, cookies(answer)].filter(Boolean).join("; ");
    console.csrf = (await console.get("/me")).csrf;
    return console;
  }

  async get(path) {
    const response = await fetch(this.base + path, { headers: { cookie: this.cookie } });
    assert.equal(response.status, 200, `${path}: ${response.status} ${await response.clone().text()}`);
    return response.json();
  }

  /** The bytes of a part of something. */
  async bytes(path, range) {
    const response = await fetch(this.base + path, { headers: { cookie: this.cookie, ...(range && { range }) } });
    return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
  }

  async change(method, path, body) {
    const isBytes = body instanceof Uint8Array;
    const response = await fetch(this.base + path, {
      method, headers: { cookie: this.cookie, "x-csrf-token": this.csrf, ...(body !== undefined && { "content-type": isBytes ? "application/octet-stream" : "application/json" }) },
      body: body === undefined || isBytes ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, text, json: text.startsWith("{") ? JSON.parse(text) : undefined };
  }
}

function cookies(response) {
  return response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
}
