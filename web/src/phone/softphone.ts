// The phone behind the panel: JsSIP, told apart from React. One call at a time, one phone in all tabs.

import type { RTCSession } from "jssip/lib/RTCSession";
import type { UA } from "jssip";
import { ApiError, change } from "../api/client";
import type { WebCredential } from "../api/types";
import { microphoneProblem, ringing } from "./sounds";

export type Registration =
  | { state: "off" }
  | { state: "elsewhere" }
  | { state: "connecting" }
  | { state: "registered" }
  | { state: "failed"; problem: string };

export interface PhoneCall {
  direction: "incoming" | "outgoing";
  name: string | null;
  number: string;
  state: "ringing" | "answering" | "up";
  /** When it was answered. */
  since: number | null;
  muted: boolean;
  held: boolean;
}

export interface Phone {
  registration: Registration;
  call: PhoneCall | null;
  /** What went wrong with the last call, in words. */
  problem: string | null;
}

export interface Devices {
  microphone: string;
  speaker: string;
}

const DEVICES = "trunkline-phone-devices";
/** Whether the phone was on; what it registers with is never kept. */
const WANTED = "trunkline-phone";
const LOCK = "trunkline-phone";
/** A credential is renewed this long before it ends. */
const RENEW_MS = 10 * 60_000;
const RETRY_MS = 15_000;

class Softphone {
  private snapshot: Phone = { registration: { state: "off" }, call: null, problem: null };
  private readonly listeners = new Set<() => void>();
  private ua: UA | null = null;
  private account: WebCredential | null = null;
  /** Proves to the server that requests come from this page. */
  csrf = "";
  private session: RTCSession | null = null;
  private release: (() => void) | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silence: (() => void) | null = null;
  private readonly speaker = new Audio();

  constructor() {
    this.speaker.autoplay = true;
    window.addEventListener("pagehide", () => this.ua?.stop());
  }

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly get = () => this.snapshot;

  get wanted() {
    return localStorage.getItem(WANTED) === "on";
  }

  /** Registers, unless another tab does. `takeOver` makes that one stop. */
  async turnOn(takeOver = false) {
    if (this.release) return;
    localStorage.setItem(WANTED, "on");
    const problem = microphoneProblem();
    if (problem) return this.set({ registration: { state: "failed", problem } });
    this.set({ registration: { state: "connecting" }, problem: null });
    if (!(await this.lock(takeOver))) return this.set({ registration: { state: "elsewhere" } });
    await this.register();
  }

  turnOff() {
    localStorage.removeItem(WANTED);
    this.stop({ state: "off" });
  }

  call(number: string) {
    this.begin(() => this.ua?.call(number, this.options()));
  }

  answer() {
    const session = this.session;
    if (!session) return;
    this.silent();
    this.changeCall({ state: "answering" });
    session.answer(this.options());
  }

  /** Ends the call, whatever its state: declines, cancels or hangs up. */
  hangUp() {
    try {
      this.session?.terminate(this.snapshot.call?.state === "ringing" && this.snapshot.call.direction === "incoming" ? { status_code: 486 } : undefined);
    } catch {
      // It ended at the same moment.
    }
  }

  toggleMute() {
    const muted = this.snapshot.call?.muted;
    if (muted) this.session?.unmute({ audio: true });
    else this.session?.mute({ audio: true });
    this.changeCall({ muted: !muted });
  }

  toggleHold() {
    if (this.snapshot.call?.held) this.session?.unhold();
    else this.session?.hold();
  }

  async press(key: string) {
    const { C } = await import("jssip");
    this.session?.sendDTMF(key, { transportType: C.DTMF_TRANSPORT.RFC2833 });
  }

  get devices(): Devices {
    const none = { microphone: "", speaker: "" };
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(DEVICES) ?? "{}");
      return { ...none, ...(kept as Partial<Devices>) };
    } catch {
      return none;
    }
  }

  /** Uses other devices from now on, in the running call too. */
  async use(devices: Devices) {
    localStorage.setItem(DEVICES, JSON.stringify(devices));
    await this.speaker.setSinkId?.(devices.speaker).catch(() => {});
    const sender = this.session?.connection?.getSenders().find(({ track }) => track?.kind === "audio");
    if (!sender) return;
    const stream = await navigator.mediaDevices.getUserMedia(this.options().mediaConstraints);
    const track = stream.getAudioTracks()[0];
    if (!track) return;
    track.enabled = !this.snapshot.call?.muted;
    sender.track?.stop();
    await sender.replaceTrack(track);
  }

  private options() {
    const { microphone } = this.devices;
    const audio: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (microphone) audio.deviceId = { exact: microphone };
    return { mediaConstraints: { audio, video: false }, pcConfig: { iceServers: this.account?.iceServers ?? [] } };
  }

  private set(changes: Partial<Phone>) {
    this.snapshot = { ...this.snapshot, ...changes };
    this.listeners.forEach((listener) => listener());
  }

  private changeCall(changes: Partial<PhoneCall>) {
    if (this.snapshot.call) this.set({ call: { ...this.snapshot.call, ...changes } });
  }

  /** Two registrations of one person would both ring in one ear. */
  private lock(takeOver: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const held = async (lock: Lock | null) => {
        resolve(lock !== null);
        if (lock) await new Promise<void>((release) => (this.release = release));
      };
      const options: LockOptions = takeOver ? { steal: true } : { ifAvailable: true };
      navigator.locks.request(LOCK, options, held).catch(() => {
        // Another tab took over.
        this.release = null;
        this.stop({ state: "elsewhere" });
      });
    });
  }

  private stop(registration: Registration) {
    clearTimeout(this.timer);
    this.silent();
    this.ua?.stop();
    this.ua = null;
    this.release?.();
    this.release = null;
    this.set({ registration, call: null });
  }

  private async register() {
    const account = await this.renew();
    if (!account || !this.release) return;
    const { UA, WebSocketInterface } = await import("jssip");
    const { protocol, host } = window.location;
    const socket = new WebSocketInterface(`${protocol === "https:" ? "wss" : "ws"}://${host}/sip`);
    const ua = new UA({
      sockets: [socket],
      uri: `sip:${account.username}@${account.domain}`,
      authorization_user: account.authorizationUsername,
      password: account.password,
      display_name: account.name,
      register_expires: 120,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 15,
      user_agent: "Trunkline console",
    });
    ua.on("registered", () => this.set({ registration: { state: "registered" } }));
    ua.on("disconnected", () => {
      if (this.ua === ua) this.set({ registration: { state: "failed", problem: "The connection to the phone system is lost. Trying again." } });
    });
    ua.on("registrationFailed", ({ response }) => {
      if (this.ua === ua) this.refused(response?.status_code);
    });
    ua.on("newRTCSession", ({ session }: { session: RTCSession }) => this.meet(session));
    this.ua = ua;
    ua.start();
  }

  /** Gets a credential, and another one before it ends. Nobody else keeps it. */
  private async renew(): Promise<WebCredential | null> {
    clearTimeout(this.timer);
    try {
      this.account = await change<WebCredential>("POST", "/phone/credential", this.csrf);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 404)) {
        this.stop({ state: "failed", problem: error.status === 401 ? "You are signed out. Reload the page to sign in." : "You are no agent any more, so you have no phone." });
        return null;
      }
      this.set({ registration: { state: "failed", problem: error instanceof Error ? error.message : String(error) } });
      this.timer = setTimeout(() => void (this.ua ? this.renew() : this.register()), RETRY_MS);
      return null;
    }
    const account = this.account;
    this.ua?.set("authorization_user", account.authorizationUsername);
    this.ua?.set("password", account.password);
    const left = new Date(account.expiresAt).getTime() - Date.now();
    this.timer = setTimeout(() => void this.renew(), Math.max(left - RENEW_MS, RETRY_MS));
    return account;
  }

  private refused(status: number | undefined) {
    this.set({ registration: { state: "failed", problem: status ? `The phone system refused the registration (${status}). Trying again.` : "The phone system does not answer. Trying again." } });
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      if (await this.renew()) this.ua?.register();
    }, RETRY_MS);
  }

  private begin(start: () => unknown) {
    this.set({ problem: null });
    try {
      start();
    } catch (error) {
      this.set({ problem: error instanceof Error ? error.message : String(error) });
    }
  }

  private meet(session: RTCSession) {
    if (this.session) {
      // The queue offers one call at a time; anybody else hears that this line is busy.
      session.terminate({ status_code: 486 });
      return;
    }
    this.session = session;
    const incoming = session.direction === "incoming";
    const party = session.remote_identity;
    this.set({
      problem: null,
      call: { direction: incoming ? "incoming" : "outgoing", name: party.display_name || null, number: party.uri.user ?? "", state: "ringing", since: null, muted: false, held: false },
    });
    if (incoming) this.silence = ringing();
    const listen = (connection: RTCPeerConnection) => {
      connection.addEventListener("track", ({ track, streams }) => {
        this.speaker.srcObject = streams[0] ?? new MediaStream([track]);
        void this.speaker.setSinkId?.(this.devices.speaker).catch(() => {});
        void this.speaker.play().catch(() => {});
      });
    };
    if (session.connection) listen(session.connection);
    session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
    session.on("confirmed", () => this.changeCall({ state: "up", since: Date.now() }));
    session.on("hold", ({ originator }) => originator === "local" && this.changeCall({ held: true }));
    session.on("unhold", ({ originator }) => originator === "local" && this.changeCall({ held: false }));
    session.on("getusermediafailed", (error: unknown) => this.over(session, microphoneProblem(error)));
    session.on("failed", ({ cause }) => this.over(session, reason(cause, incoming)));
    session.on("ended", () => this.over(session, null));
  }

  private over(session: RTCSession, problem: string | null) {
    if (this.session !== session) return;
    this.session = null;
    this.silent();
    this.speaker.srcObject = null;
    this.set({ call: null, problem: problem ?? this.snapshot.problem });
  }

  private silent() {
    this.silence?.();
    this.silence = null;
  }
}

/** What a person makes of JsSIP's causes; null where nothing went wrong. */
function reason(cause: string, incoming: boolean): string | null {
  switch (cause) {
    case "Canceled":
    case "Terminated":
      return null;
    case "Rejected":
    case "Busy":
      return incoming ? null : "Nobody took the call: the line is busy.";
    case "Not Found":
    case "Address Incomplete":
      return "There is no such number.";
    case "Unavailable":
    case "No Answer":
    case "Request Timeout":
      return incoming ? null : "Nobody answered.";
    case "Authentication Error":
      return "The phone system refused the call. Turn the phone off and on again.";
    case "User Denied Media Access":
      return "Without a microphone there can be no call. Allow it for this page and try again.";
    case "Connection Error":
      return "The connection to the phone system is lost.";
    default:
      return `The call failed: ${cause}.`;
  }
}

export const softphone = new Softphone();
