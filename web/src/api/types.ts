// The shapes of /console/api, as the server's crate `console-api` writes them.

export type Role = "owner" | "admin" | "supervisor" | "analyst" | "agent";

export interface Me {
  name: string;
  email: string;
  role: Role;
  company: string;
  timeZone: string;
  seesConnections: boolean;
  /** Sets up the company. */
  manages: boolean;
  /** Looks after running calls. */
  supervises: boolean;
  csrf: string;
  addresses: Addresses;
}

export interface Addresses {
  membraneApi: string;
  cloudtalkApi: string;
  sipHost: string;
  sipPort: number;
}

export type CallStatus = "running" | "answered" | "voicemail" | "missed";
export type Direction = "incoming" | "outgoing" | "internal";

export interface Call {
  id: number;
  direction: Direction;
  status: CallStatus;
  /** Null when the caller hides its number. */
  external: string | null;
  internal: string | null;
  contact: string | null;
  agent: string | null;
  /** What the agent dialled, when he placed the call. */
  dialled: string | null;
  /** The colleague whom an internal call was for. */
  callee: string | null;
  /** Why the call was not placed. */
  refused: string | null;
  /** The carriers that were asked, in order. */
  attempts: { trunk: string; why: string; failed: string | null }[];
  startedAt: string;
  waitingMs: number;
  talkingMs: number;
  totalMs: number;
  recording: Recording | null;
  /** The rule by which the conversation is not kept. */
  notRecorded: RecordingRule | null;
  /** Whether its recording can be switched by whoever asks, now. */
  maySwitchRecording: boolean;
  /** Whether whoever asks may listen in, now. */
  mayMonitor: boolean;
  /** How the audio of its legs travelled. */
  audio: LegAudio[];
}

export type RecordingRule = "company" | "number" | "agent" | "flow";
export type NoAudio = "never_heard" | "private_address" | "wrong_codec" | "other_source" | "muted" | "stopped";

export interface LegAudio {
  leg: number;
  /** The agent's name; null for the outside party. */
  agent: string | null;
  codec: string | null;
  received: StreamQuality | null;
  sent: StreamQuality | null;
  roundTripMs: number | null;
  noAudio: NoAudio | null;
  isMissing: boolean;
}

export interface StreamQuality {
  packets: number;
  lost: number;
  jitterMs: number;
  /** 1 to 4.5. */
  mos: number;
}

export interface Peaks {
  durationMs: number;
  /** For each channel the loudest sample of each stretch, 0 to 255. */
  channels: number[][];
}

export type MonitorMode = "listen" | "whisper" | "barge";

export type PauseMode = "cut" | "silence";

export interface RecordingSettings {
  incoming: boolean;
  outgoing: boolean;
  internal: boolean;
  agentsMaySwitch: boolean;
  pauseMode: PauseMode;
  conversationDays: number | null;
  voicemailDays: number | null;
  numbers: { id: number; record: boolean }[];
  agents: { id: number; record: boolean | null; maySwitch: boolean | null }[];
}

export interface Receipt {
  call: number;
  kind: "conversation" | "voicemail";
  recordedAt: string;
  deletedAt: string;
  rule: string;
}

export interface Receipts {
  items: Receipt[];
  page: number;
  pages: number;
  total: number;
  waiting: number;
  problem: string | null;
}

/** A conference room. Its PIN is told to those only who may change it. */
export interface Room {
  id: number;
  name: string;
  extension: number;
  dial: string;
  pin?: string;
  hasPin: boolean;
  participants: number;
}

export interface Sound {
  id: number;
  name: string;
  durationMs: number;
  createdAt: string;
  usedBy: string[];
}

export interface Sounds {
  items: Sound[];
  missing: { name: string; usedBy: string[] }[];
  builtIn: string[];
}

export interface Recording {
  state: "running" | "paused" | "kept" | "failed";
  durationMs: number;
  problem: string | null;
}

/** What was said on the wire for a call; empty when nothing is remembered. */
export interface Signalling {
  ladder: string;
  messages: SignallingMessage[];
}

export interface SignallingMessage {
  at: string;
  summary: string;
  from: string;
  to: string;
  transport: string;
  text: string;
}

export interface CallPage {
  items: Call[];
  page: number;
  pages: number;
  total: number;
}

export type Availability = "online" | "idle" | "offline";
export type AgentState = "available" | "ringing" | "on_call" | "wrap_up" | "away";

export interface Agent {
  id: number;
  name: string;
  email: string;
  extension: number;
  groups: string[];
  availability: Availability;
  state: AgentState | null;
  devices: number;
}

/** The signed-in person's phone in the page; null for people who are no agents. */
export interface WebPhone {
  phone: { name: string; extension: number; availability: Availability } | null;
}

/** What that phone registers with, for an hour. */
export interface WebCredential {
  name: string;
  username: string;
  domain: string;
  authorizationUsername: string;
  password: string;
  expiresAt: string;
  iceServers: RTCIceServer[];
}

export interface PhoneNumber {
  id: number;
  e164: string;
  name: string;
  route: { kind: "flow" | "group" | "agent" | "conference" | "fax"; name: string } | null;
}

export type ConnectionState =
  | "BUILDING"
  | "CLIENT_ACTION_REQUIRED"
  | "CONFIGURATION_ERROR"
  | "SETUP_FAILED"
  | "READY"
  | "DISCONNECTING";

export interface Connection {
  id: string;
  name: string;
  app: string;
  state: ConnectionState;
  error: string | null;
  connectUrl: string | null;
  createdAt: string;
  lastActiveAt: string | null;
}

export interface Items<T> {
  items: T[];
}

export type TrunkState = "registered" | "answering" | "registering" | "failing" | "unknown" | "unusable" | "disabled";
export type NumberStyle = "plus" | "digits" | "double_zero" | "national";

export interface NumberFormat {
  style: NumberStyle;
  prefix: string;
  strip: string;
}

/** What an operator says of a carrier. What the form does not show is sent back as it came. */
export interface TrunkSettings {
  server: string;
  transport: "udp" | "tcp" | "tls" | null;
  outbound_proxy: string | null;
  username: string | null;
  auth_username: string | null;
  domain: string | null;
  register: { expires_seconds: number; contact_user: string | null } | null;
  sources: string[];
  numbers_out: NumberFormat;
  numbers_in: NumberFormat;
  country: string | null;
  caller_id: "p_asserted_identity" | "from" | "p_asserted_identity_only";
  trusted: boolean;
  keep_alive_seconds: number;
  setup_seconds: number;
  outbound: boolean;
  emergency: boolean;
  limits: {
    concurrent: number | null;
    per_second: number | null;
    allowed: string[];
    denied: string[];
    minutes_per_day: number | null;
    spend_per_day_micros: number | null;
  };
}

export interface Trunk {
  id: number;
  name: string;
  isShared: boolean;
  isEnabled: boolean;
  state: TrunkState;
  detail: string;
  hasPassword: boolean;
  settings: TrunkSettings;
  prices: number;
  calls: number;
  talkedMs: number;
  spentMicros: number;
  events: { at: string; state: string; detail: string }[];
}

export interface TrunkTest {
  ok: boolean;
  steps: { step: string; ok: boolean; found: string; hint: string | null }[];
}

export interface Bounds {
  concurrent: number | null;
  per_minute: number | null;
  minutes_per_day: number | null;
  spend_per_day_micros: number | null;
}

/** Times of day as HH:MM:SS; `to` before `from` is past midnight. Days from 1 for Monday; none are all. */
export interface Hours {
  from: string;
  to: string;
  days: number[];
}

export interface Rule {
  name: string;
  prefixes: string[];
  groups: number[];
  hours: Hours | null;
  action: { type: "trunks"; trunks: number[]; order: "least_cost" | "listed" } | { type: "refuse"; reason: string };
}

export interface OutgoingSettings {
  routes: Rule[];
  fraud: {
    agent: Bounds;
    company: Bounds;
    night: { hours: Hours; calls_per_hour: number; dear_micros: number | null } | null;
  };
  caller_id: number | null;
}

export interface Outgoing {
  settings: OutgoingSettings;
  stops: { agent: number | null; agentName: string | null; reason: string; at: string }[];
  groups: { id: number; name: string }[];
}
