import { Badge } from "@mantine/core";
import type { CallStatus } from "../api/types";

const LOOKS: Record<CallStatus, { label: string; color: string }> = {
  running: { label: "In progress", color: "blue.8" },
  answered: { label: "Answered", color: "green.9" },
  voicemail: { label: "Voicemail", color: "grape.8" },
  missed: { label: "Missed", color: "red.8" },
};

export function CallStatusBadge({ status }: { status: CallStatus }) {
  const { label, color } = LOOKS[status];
  return <Badge color={color}>{label}</Badge>;
}
