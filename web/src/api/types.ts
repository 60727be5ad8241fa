// The shapes of /console/api, as the server's crate `console-api` writes them.

export type Role = "owner" | "admin" | "supervisor" | "analyst" | "agent";

export interface Me {
  name: string;
  email: string;
  role: Role;
  company: string;
  timeZone: string;
  seesConnections: boolean;
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
  startedAt: string;
  waitingMs: number;
  talkingMs: number;
  totalMs: number;
  recording: Recording | null;
}

export interface Recording {
  state: "running" | "kept" | "failed";
  durationMs: number;
  problem: string | null;
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
