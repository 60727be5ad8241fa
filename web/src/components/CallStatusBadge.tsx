import { Badge } from "@mantine/core";
import type { CallStatus } from "../api/types";
import { tones } from "../ui/tones";

const LOOKS: Record<CallStatus, { label: string; color: string }> = {
  running: { label: "In progress", color: tones.active },
  answered: { label: "Answered", color: tones.good },
  voicemail: { label: "Voicemail", color: tones.aside },
  missed: { label: "Missed", color: tones.bad },
};

export function CallStatusBadge({ status }: { status: CallStatus }) {
  const { label, color } = LOOKS[status];
  return <Badge color={color}>{label}</Badge>;
}
