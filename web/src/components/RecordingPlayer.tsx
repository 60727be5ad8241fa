import { ActionIcon, Group, Stack, Text } from "@mantine/core";
import { IconDownload, IconPlayerPlay } from "@tabler/icons-react";
import { useState } from "react";
import { recordingUrl } from "../api/queries";
import type { Call } from "../api/types";
import { duration } from "../util/format";

/** Plays a call's recording. The audio is fetched only when somebody asks to hear it. */
export function RecordingPlayer({ call }: { call: Call }) {
  const [open, setOpen] = useState(false);
  const [failed, setFailed] = useState(false);
  const { recording } = call;
  if (!recording) return <Text c="dimmed">None</Text>;
  if (recording.state === "running") return <Text c="dimmed">Recording…</Text>;
  if (recording.state === "failed" && recording.durationMs === 0) {
    return <Text c="red">{recording.problem ?? "Failed"}</Text>;
  }
  const whom = call.contact ?? call.external ?? "a hidden number";
  return (
    <Stack gap={4}>
      <Group gap="xs" wrap="nowrap">
        {open ? (
          // biome-ignore lint/a11y/useMediaCaption: a phone call has no captions
          <audio
            controls
            autoPlay
            src={recordingUrl(call.id)}
            onError={() => setFailed(true)}
            style={{ height: 34, width: 260 }}
            aria-label={`Recording of the call with ${whom}`}
          />
        ) : (
          <ActionIcon variant="default" size="lg" onClick={() => setOpen(true)} aria-label={`Play the call with ${whom}`}>
            <IconPlayerPlay size={16} aria-hidden />
          </ActionIcon>
        )}
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
        {!open && <Text size="sm">{duration(recording.durationMs)}</Text>}
      </Group>
      {failed && (
        <Text size="xs" c="red" role="alert">
          It can't be played: it was erased, or the server can't be reached.
        </Text>
      )}
      {recording.problem && (
        <Text size="xs" c="dimmed">
          Incomplete: {recording.problem}
        </Text>
      )}
    </Stack>
  );
}
