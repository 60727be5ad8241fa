// The dialog cases as a carrier and as a phone see them, for SIPp. Each runs by UDP and by TCP, straight to the server and through a proxy.

import { answer, answersInvite, asked, back, hears, inside, invited, label, ok, pause, request, sdp } from "./sipp.js";

const offer = { body: sdp() };
const ringing = [hears(100, { optional: true }), hears(180, { optional: true }), hears(183, { optional: true })];
const answered = [...ringing, hears(200, { dialog: true, matches: [{ body: "m=audio" }] }), inside("ACK", { cseq: 1 })];
const hangsUp = (cseq = 2) => [inside("BYE", { cseq }), hears(200)];
const isHungUp = [asked("BYE"), ok()];
const changes = (cseq, change, matches) => [inside("INVITE", { cseq, body: sdp({ ...change, version: cseq }) }), hears(100, { optional: true }), hears(200, { matches }), inside("ACK", { cseq })];

/** What a carrier does with a number that answers by itself. */
export const CARRIER = {
  "a call, and hanging up": [request("INVITE", offer), ...answered, pause(200), ...hangsUp()],
  "OPTIONS says what we can": [request("OPTIONS"), hears(200, { matches: [{ message: "Allow: .*INVITE" }, { message: "Supported:" }] })],
  "an offer in the ACK": [request("INVITE"), ...ringing, hears(200, { dialog: true, matches: [{ body: "m=audio" }] }), inside("ACK", { cseq: 1, ...offer }), pause(200), ...hangsUp()],
  "hold in its three spellings, and resume": [
    request("INVITE", offer), ...answered,
    ...changes(2, { direction: "sendonly" }, [{ body: "a=(recvonly|inactive)" }]),
    ...changes(3, { direction: "inactive" }, [{ body: "a=inactive" }]),
    ...changes(4, { address: "0.0.0.0" }, [{ body: "m=audio [1-9]" }]),
    ...changes(5, {}, [{ body: "a=sendrecv" }]), ...hangsUp(6),
  ],
  "session refresh by the caller": [
    request("INVITE", { ...offer, headers: ["Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90"] }), ...ringing,
    hears(200, { dialog: true, matches: [{ message: "Session-Expires: 90;refresher=uac" }] }), inside("ACK", { cseq: 1 }),
    inside("INVITE", { cseq: 2, ...offer, headers: ["Supported: timer", "Session-Expires: 90;refresher=uac"] }), hears(100, { optional: true }),
    hears(200, { matches: [{ message: "Session-Expires: 90" }] }), inside("ACK", { cseq: 2 }), ...hangsUp(3),
  ],
  "a session interval that is too small": [
    request("INVITE", { ...offer, headers: ["Supported: timer", "Session-Expires: 20"] }), hears(100, { optional: true }),
    hears(422, { matches: [{ message: "Min-SE: *[0-9]+" }] }), inside("ACK", { cseq: 1, refused: 3 }),
  ],
  "UPDATE by the caller": [
    request("INVITE", offer), ...answered,
    inside("UPDATE", { cseq: 2, body: sdp({ direction: "sendonly", version: 2 }) }), hears(200, { matches: [{ body: "a=(recvonly|inactive)" }] }),
    ...hangsUp(3),
  ],
  "a CSeq may jump, and an old one is refused": [
    request("INVITE", offer), ...answered,
    inside("INFO", { cseq: 20, body: ["Signal=9", "Duration=160"], type: "application/dtmf-relay" }), hears(200),
    inside("INFO", { cseq: 7, body: ["Signal=9", "Duration=160"], type: "application/dtmf-relay" }), hears(500),
    ...hangsUp(30),
  ],
  "a stray INFO, BYE and re-INVITE mean nothing": [
    request("BYE", { to: "<sip:x@[remote_ip]>;tag=nobody" }), hears(481),
    request("INFO", { to: "<sip:x@[remote_ip]>;tag=nobody", cseq: 2 }), hears(481),
    request("INVITE", { to: "<sip:x@[remote_ip]>;tag=nobody", cseq: 3, ...offer }), hears(100, { optional: true }), hears(481), request("ACK", { to: "<sip:x@[remote_ip]>;tag=nobody", cseq: 3, via: "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-1]" }).replace(' retrans="500"', ""),
  ],
  "an answer that is never confirmed ends": [
    request("INVITE", offer), ...ringing, hears(200, { dialog: true }), label("again"), asked("BYE", { optional: true, next: "bye" }), hears(200, { next: "again" }), label("bye"), ok(),
  ],
};

const calls = (...then) => [request("INVITE", offer), ...answered, ...then];

/** What a phone does with a call, and what its caller does meanwhile; `phone` takes the call that `caller` places. */
export const PHONE = {
  // A phone that was busy or gone is rung again after a pause: who comes next waits for it.
  "answers, and its caller hangs up": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [invited(), answer("100 Trying"), answer("180 Ringing"), pause(100), answer("200 OK", { ...offer, retrans: true }), asked("ACK"), ...isHungUp],
  },
  "answers and hangs up": {
    caller: calls(...isHungUp),
    phone: [invited(), answer("180 Ringing"), answer("200 OK", { ...offer, retrans: true }), asked("ACK"), pause(200), back("BYE"), hears(200)],
  },
  "rings while its caller gives up": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [invited(), answer("180 Ringing"), asked("CANCEL"), ok(), answersInvite("487 Request Terminated"), asked("ACK")],
  },
  "answers while it is cancelled": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [
      invited(), answer("180 Ringing"), asked("CANCEL"), ok(), answersInvite("200 OK", offer), asked("ACK"), ...isHungUp,
    ],
  },
  "refuses": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [invited(), answer("180 Ringing"), answer("603 Decline"), asked("ACK")],
  },
  "is busy": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [invited(), answer("486 Busy Here"), asked("ACK")],
  },
  "holds and resumes": {
    caller: calls(...isHungUp),
    phone: [
      invited(), answer("180 Ringing"), answer("200 OK", { ...offer, retrans: true }), asked("ACK"),
      back("INVITE", { cseq: 1, body: sdp({ direction: "sendonly", version: 2 }) }), hears(100, { optional: true }), hears(200, { matches: [{ body: "a=(recvonly|inactive)" }] }), back("ACK", { cseq: 1 }),
      back("INVITE", { cseq: 2, body: sdp({ version: 3 }) }), hears(100, { optional: true }), hears(200, { matches: [{ body: "a=sendrecv" }] }), back("ACK", { cseq: 2 }),
      back("BYE", { cseq: 3 }), hears(200),
    ],
  },
  "rings reliably": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [
      invited({ matches: [{ message: "Supported: .*100rel" }] }), answer("180 Ringing", { headers: ["Require: 100rel", "RSeq: 77"] }),
      asked("PRACK", { matches: [{ message: "RAck: 77 1 INVITE" }] }), ok(), answersInvite("200 OK", offer), asked("ACK"), ...isHungUp,
    ],
  },
  "sends its caller elsewhere": {
    caller: calls(pause(700), ...hangsUp()),
    phone: [invited(), answer("302 Moved Temporarily", { headers: ["Contact: <sip:+421900999999@192.0.2.1>"] }), asked("ACK")],
  },
  "changes the session with UPDATE": {
    caller: calls(...isHungUp),
    phone: [
      invited(), answer("180 Ringing"), answer("200 OK", { ...offer, retrans: true }), asked("ACK"),
      back("UPDATE", { cseq: 1, body: sdp({ direction: "sendonly", version: 2 }) }), hears(200, { matches: [{ body: "a=(recvonly|inactive)" }] }), back("BYE", { cseq: 2 }), hears(200),
    ],
  },
};
