import { Badge, Group, Stack, Text, Tooltip } from "@mantine/core";
import type { Call, LegAudio, NoAudio, StreamQuality } from "../api/types";
import { tones } from "../ui/tones";

const REASONS: Record<NoAudio, string> = {
  never_heard: "nothing arrives: look at firewall and routing",
  private_address: "the phone tells a private address: look at its NAT settings",
  wrong_codec: "it sends a codec that was not agreed",
  other_source: "its packets come from another address",
  muted: "only silence arrives: muted or no microphone",
  stopped: "its packets stopped",
};

/** How the audio of a call's parties travelled; nothing for calls without any. */
export function AudioQuality({ call }: { call: Call }) {
  if (call.audio.length === 0) return <Text c="dimmed">–</Text>;
  return (
    <Stack gap={4}>
      {call.audio.map((leg) => (
        <Leg key={leg.leg} leg={leg} />
      ))}
    </Stack>
  );
}

function Leg({ leg }: { leg: LegAudio }) {
  const who = leg.agent ?? "Customer";
  if (leg.isMissing && leg.noAudio) {
    return (
      <Text size="xs" c="red">
        {who} not heard: {REASONS[leg.noAudio]}
      </Text>
    );
  }
  const worst = Math.min(...[leg.received, leg.sent].flatMap((stream) => (stream ? [stream.mos] : [])));
  if (!Number.isFinite(worst)) return null;
  return (
    <Tooltip label={<Details leg={leg} />} multiline events={{ hover: true, focus: true, touch: true }}>
      <Group gap={6} wrap="nowrap" tabIndex={0} w="fit-content">
        <Badge color={worst >= 4 ? tones.good : worst >= 3.1 ? tones.attention : tones.bad}>{worst.toFixed(1)}</Badge>
        <Text size="xs">{who}</Text>
      </Group>
    </Tooltip>
  );
}

function Details({ leg }: { leg: LegAudio }) {
  const stream = (name: string, quality: StreamQuality | null) =>
    quality && (
      <div>
        {name}: {percent(quality)} lost, jitter {quality.jitterMs.toFixed(0)} ms, MOS {quality.mos.toFixed(1)}
      </div>
    );
  return (
    <>
      <div>{leg.codec}</div>
      {stream("From them", leg.received)}
      {stream("To them", leg.sent)}
      {leg.roundTripMs !== null && <div>Round trip {leg.roundTripMs.toFixed(0)} ms</div>}
      {leg.noAudio && <div>For a while: {REASONS[leg.noAudio]}</div>}
    </>
  );
}

function percent({ packets, lost }: StreamQuality): string {
  const all = packets + lost;
  return `${(all === 0 ? 0 : (lost / all) * 100).toFixed(1)} %`;
}
