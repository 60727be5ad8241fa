// The dialog cases as a carrier and as a phone see them, for SIPp. Each runs by UDP and by TCP, straight to the server and through a proxy.

import { answer, answersInvite, asked, back, hears, inside, invited, label, ok, pause, proofAsked, request, sdp, told } from "./sipp.js";

const offer = { body: sdp() };
const ringing = [hears(100, { optional: true }), hears(180, { optional: true }), hears(183, { optional: true })];
const answered = [...ringing, hears(200, { dialog: true, matches: [{ body: "m=audio" }] }), inside("ACK", { cseq: 1 })];
const hangsUp = (cseq = 2) => [inside("BYE", { cseq }), hears(200)];
const isHungUp = [asked("BYE"), ok()];
const changes = (cseq, change, matches) => [inside("INVITE", { cseq, body: sdp({ ...change, version: cseq }) }), hears(100, { optional: true }), hears(200, { matches }), inside("ACK", { cseq })];

const GRANTED = ["Supported: timer", "Require: timer", "Session-Expires: 90;refresher=uac"];

/** A call whose interval is the shortest there may be: half of it is waited for. */
function refreshedByUs(headers, refresh) {
  const asks = ["Supported: timer", "Session-Expires: 90;refresher=uas", "Min-SE: 90", ...headers];
  return [
    request("INVITE", { ...offer, headers: asks }), ...ringing, hears(200, { dialog: true, matches: [{ message: "Session-Expires: 90;refresher=uas" }] }), inside("ACK", { cseq: 1 }),
    ...refresh, pause(200), ...hangsUp(),
  ];
}

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
  "session refresh by us, with UPDATE": refreshedByUs(["Allow: INVITE, ACK, BYE, CANCEL, UPDATE"], [
    asked("UPDATE", { matches: [{ message: "Session-Expires: 90;refresher=uac" }] }), ok({ headers: GRANTED }),
  ]),
  "session refresh by us, with INVITE": refreshedByUs([], [
    asked("INVITE", { matches: [{ message: "Session-Expires: 90;refresher=uac" }, { body: "m=audio [1-9]" }] }), ok({ headers: GRANTED, body: sdp() }), asked("ACK"),
  ]),
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

const takes = [invited(), answer("180 Ringing"), pause(100), answer("200 OK", { ...offer, retrans: true }), asked("ACK")];
/** A REFER that is accepted. NOTIFY and BYE come on each other's heels, faster than SIPp steps on: it answers the one by itself, and `hears` reads what it said. */
const refers = (headers) => [back("REFER", { cseq: 1, headers: [...headers, "Referred-By: <sip:[user]@[domain]>"] }), hears(202), ...isHungUp];
const hangsUpSoon = [pause(300), back("BYE", { cseq: 3 }), hears(200)];
/** A call that a phone proves to be its own. SIPp stops at a challenge with more than MD5, as the phone whose name it takes does. */
const calling = (headers = []) => {
  const own = { uri: "sip:[service]@[domain]", headers: ["User-Agent: baresip v1.0.0", ...headers], ...offer };
  return [
    request("INVITE", own), hears(100, { optional: true }), proofAsked(407), inside("ACK", { cseq: 1, refused: 3 }),
    request("INVITE", { ...own, cseq: 2, headers: [...own.headers, "[authentication]"] }), ...ringing,
  ];
};
const placed = [...calling(), hears(200, { dialog: true }), inside("ACK", { cseq: 2 })];

/**
 * Cases of more phones than one: `phone` takes the call that `caller` places. `target` is another agent's phone, `sibling` another
 * one of the same agent, and `consults` that one calling the target. `hears` is what NOTIFY tells the phone in the end.
 */
export const PHONES = {
  "passes its caller on": {
    caller: calls(...isHungUp),
    phone: [...takes, ...refers(["Refer-To: <sip:[target]@[domain]>"])],
    hears: 200,
    target: [...takes, ...hangsUpSoon],
  },
  "passes its caller on in vain": {
    caller: calls(...isHungUp),
    phone: [
      ...takes, back("REFER", { cseq: 1, headers: ["Refer-To: <sip:[target]@[domain]>"] }), hears(202), asked("NOTIFY", { matches: [{ body: "SIP/2.0 100" }] }), ok(),
      asked("NOTIFY", { matches: [{ message: "Subscription-State: terminated" }, { body: "SIP/2.0 486" }] }), ok(), back("BYE", { cseq: 2 }), hears(200),
    ],
    target: [invited(), answer("180 Ringing"), answer("486 Busy Here"), asked("ACK")],
  },
  "hands its caller over after a word": {
    caller: calls(...isHungUp),
    phone: [...takes, told("X-Dialog"), ...refers(["Refer-To: <sip:[target]@[domain]?Replaces=[$told]>", "Require: replaces"])],
    hears: 200,
    consults: [...placed, ...isHungUp],
    target: [...takes, asked("INVITE"), ok({ body: sdp({ version: 2 }) }), asked("ACK"), ...hangsUpSoon],
  },
  "rings beside another one, and wins": {
    caller: calls(...isHungUp),
    phone: [invited(), answer("180 Ringing"), pause(400), answer("200 OK", { ...offer, retrans: true }), asked("ACK"), ...hangsUpSoon],
    sibling: [invited(), answer("180 Ringing"), asked("CANCEL", { matches: [{ message: "Reason: *SIP *; *cause *= *200" }] }), ok(), answersInvite("487 Request Terminated"), asked("ACK")],
  },
  "rings beside another one, and both answer": {
    caller: calls(...isHungUp),
    phone: [invited(), answer("180 Ringing"), pause(400), answer("200 OK", { ...offer, retrans: true }), asked("ACK"), ...hangsUpSoon],
    // Its answer crosses the CANCEL: it is confirmed, and hung up at once (RFC 3261 §13.2.2.4).
    sibling: [invited(), answer("180 Ringing"), asked("CANCEL"), ok(), answersInvite("200 OK", offer), asked("ACK"), ...isHungUp],
  },
  "rings while a colleague picks up": {
    caller: calls(...isHungUp),
    phone: [invited(), answer("180 Ringing"), asked("CANCEL"), ok(), answersInvite("487 Request Terminated"), asked("ACK")],
    picksUp: [...calling(["Replaces: [dialog];early-only", "Require: replaces"]), hears(200, { dialog: true }), inside("ACK", { cseq: 2 }), pause(300), ...hangsUp(3)],
  },
};
