import { ActionIcon, Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconDownload, IconPlayerPause, IconPlayerPlay, IconPlayerRecord } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { peaksQuery, recordingUrl, switchRecording } from "../api/queries";
import type { Call, RecordingRule } from "../api/types";
import { duration } from "../util/format";
import { Waveform } from "./Waveform";

const RULES: Record<RecordingRule, string> = {
  company: "the company's settings",
  number: "the number's setting",
  agent: "the agent's setting",
  flow: "the call flow",
};

/** A call's recording: played, drawn and downloaded, or switched while the call runs. */
export function RecordingPlayer({ call }: { call: Call }) {
  const { recording } = call;
  if (call.maySwitchRecording) return <Switch call={call} />;
  if (!recording) {
    return <Text c="dimmed">{call.notRecorded ? `Off: ${RULES[call.notRecorded]}` : "None"}</Text>;
  }
  if (recording.state === "running") return <Text c="dimmed">Recording…</Text>;
  if (recording.state === "paused") return <Text c="dimmed">Paused</Text>;
  if (recording.state === "failed" && recording.durationMs === 0) {
    return <Text c="red">{recording.problem ?? "Failed"}</Text>;
  }
  return <Player call={call} durationMs={recording.durationMs} problem={recording.problem} />;
}

/** On and off while people talk. */
function Switch({ call }: { call: Call }) {
  const queries = useQueryClient();
  const on = call.recording?.state === "running";
  const change = useMutation({
    mutationFn: () => switchRecording(call.id, !on),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["calls"] }),
  });
  const Icon = on ? IconPlayerPause : IconPlayerRecord;
  return (
    <Stack gap={4} align="flex-start">
      <Text size="sm">{on ? "Recording…" : call.recording ? "Paused" : "Not recorded"}</Text>
      <Button
        size="xs"
        variant="default"
        leftSection={<Icon size={14} aria-hidden />}
        loading={change.isPending}
        onClick={() => change.mutate()}
      >
        {on ? "Pause recording" : call.recording ? "Resume recording" : "Record"}
      </Button>
      {change.isError && (
        <Text size="xs" c="red" role="alert">
          {change.error.message}
        </Text>
      )}
    </Stack>
  );
}

interface PlayerProps {
  call: Call;
  durationMs: number;
  problem: string | null;
}

function Player({ call, durationMs, problem }: PlayerProps) {
  const audio = useRef<HTMLAudioElement>(null);
  const [open, setOpen] = useState(false);
  const [playing, setPlaying] = useState(false);
  const [position, setPosition] = useState(0);
  const [failed, setFailed] = useState(false);
  const peaks = useQuery({ ...peaksQuery(call.id), enabled: open });
  const whom = call.contact ?? call.external ?? "a hidden number";

  const toggle = () => {
    if (!open) return setOpen(true);
    const element = audio.current;
    if (!element) return;
    // A browser that refuses to play says so by an event of its own.
    if (element.paused) void element.play().catch(() => undefined);
    else element.pause();
  };
  return (
    <Stack gap={4} w={open ? 170 : undefined}>
      <Group gap="xs" wrap="nowrap">
        <ActionIcon variant="default" size="lg" onClick={toggle} aria-label={`${playing ? "Pause" : "Play"} the call with ${whom}`}>
          {playing ? <IconPlayerPause size={16} aria-hidden /> : <IconPlayerPlay size={16} aria-hidden />}
        </ActionIcon>
        <ActionIcon
          component="a"
          href={recordingUrl(call.id)}
          download={`call-${call.id}.wav`}
          variant="default"
          size="lg"
          aria-label={`Download the call with ${whom}`}
        >
          <IconDownload size={16} aria-hidden />
        </ActionIcon>
        <Text size="sm" style={{ fontVariantNumeric: "tabular-nums" }}>
          {open ? `${duration(position * 1000)} / ${duration(durationMs)}` : duration(durationMs)}
        </Text>
      </Group>
      {open && (
        // biome-ignore lint/a11y/useMediaCaption: a phone call has no captions
        <audio
          ref={audio}
          autoPlay
          aria-label={`Recording of the call with ${whom}`}
          src={recordingUrl(call.id)}
          onPlay={() => setPlaying(true)}
          onPause={() => setPlaying(false)}
          onTimeUpdate={(event) => setPosition(event.currentTarget.currentTime)}
          onError={() => setFailed(true)}
        />
      )}
      {open && peaks.data && (
        <Waveform
          peaks={peaks.data}
          position={position}
          label={`Position in the call with ${whom}`}
          onSeek={(seconds) => {
            if (audio.current) audio.current.currentTime = seconds;
            setPosition(seconds);
          }}
        />
      )}
      {failed && (
        <Alert color="red" variant="outline" p="xs" role="alert">
          It can't be played: it was erased, or the server can't be reached.
        </Alert>
      )}
      {problem && (
        <Text size="xs" c="dimmed">
          Incomplete: {problem}
        </Text>
      )}
    </Stack>
  );
}
