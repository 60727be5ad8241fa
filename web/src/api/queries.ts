import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { read, write } from "./client";
import type {
  Agent,
  CallPage,
  Connection,
  Direction,
  Items,
  Me,
  MonitorMode,
  Outgoing,
  Peaks,
  PhoneNumber,
  Receipts,
  RecordingSettings,
  Room,
  Signalling,
  Sounds,
  Trunk,
  WebPhone,
} from "./types";

/** What a list of calls can be narrowed to; lives in the address. */
export interface CallFilters {
  page?: number;
  status?: "answered" | "missed";
  direction?: Direction;
}

// Lists that change while one looks at them are read again this often.
const LIVE = 4_000;

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: ({ signal }) => read<Me>("/me", signal),
  staleTime: Number.POSITIVE_INFINITY,
});

export const callsQuery = (filters: CallFilters) =>
  queryOptions({
    queryKey: ["calls", filters],
    queryFn: ({ signal }) => read<CallPage>(`/calls?${search(filters)}`, signal),
    refetchInterval: LIVE,
    placeholderData: keepPreviousData,
  });

export const agentsQuery = queryOptions({
  queryKey: ["agents"],
  queryFn: ({ signal }) => read<Items<Agent>>("/agents", signal),
  refetchInterval: LIVE,
});

export const phoneQuery = queryOptions({
  queryKey: ["phone"],
  queryFn: ({ signal }) => read<WebPhone>("/phone", signal),
  refetchInterval: LIVE,
});

export const numbersQuery = queryOptions({
  queryKey: ["numbers"],
  queryFn: ({ signal }) => read<Items<PhoneNumber>>("/numbers", signal),
});

export const connectionsQuery = queryOptions({
  queryKey: ["connections"],
  queryFn: ({ signal }) => read<Items<Connection>>("/connections", signal),
  refetchInterval: LIVE,
});

export const trunksQuery = queryOptions({
  queryKey: ["trunks"],
  queryFn: ({ signal }) => read<Items<Trunk>>("/trunks", signal),
  refetchInterval: LIVE,
});

export const outgoingQuery = queryOptions({
  queryKey: ["outgoing"],
  queryFn: ({ signal }) => read<Outgoing>("/outgoing", signal),
  refetchInterval: LIVE,
});

export const signallingQuery = (call: number) =>
  queryOptions({
    queryKey: ["signalling", call],
    queryFn: ({ signal }) => read<Signalling>(`/calls/${call}/signalling`, signal),
  });

export const captureUrl = (call: number) => `/console/api/calls/${call}/signalling.pcap`;

export const roomsQuery = queryOptions({
  queryKey: ["rooms"],
  queryFn: ({ signal }) => read<Items<Room>>("/rooms", signal),
  refetchInterval: LIVE,
});

export const soundsQuery = queryOptions({
  queryKey: ["sounds"],
  queryFn: ({ signal }) => read<Sounds>("/sounds", signal),
});

export const recordingSettingsQuery = queryOptions({
  queryKey: ["recording-settings"],
  queryFn: ({ signal }) => read<RecordingSettings>("/recording-settings", signal),
});

export const receiptsQuery = (page: number) =>
  queryOptions({
    queryKey: ["recording-receipts", page],
    queryFn: ({ signal }) => read<Receipts>(`/recording-receipts?page=${page}`, signal),
    placeholderData: keepPreviousData,
  });

export const peaksQuery = (call: number) =>
  queryOptions({
    queryKey: ["peaks", call],
    queryFn: ({ signal }) => read<Peaks>(`/calls/${call}/recording/peaks`, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const switchRecording = (call: number, on: boolean) => write("PUT", `/calls/${call}/recording`, { on });

export const monitor = (call: number, mode: MonitorMode) => write("POST", `/calls/${call}/monitor`, { mode });

export const soundAudioUrl = (sound: number) => `/console/api/sounds/${sound}/audio`;

export const recordingUrl = (call: number) => `/console/api/calls/${call}/recording`;

function search(filters: CallFilters): string {
  const pairs = Object.entries(filters).filter(([, value]) => value !== undefined);
  return new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
}
