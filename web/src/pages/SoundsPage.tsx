import { ActionIcon, Alert, Badge, Button, FileButton, Group, Modal, Progress, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { IconAlertTriangle, IconPencil, IconPlayerPlay, IconTrash, IconUpload } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { meQuery, soundAudioUrl, soundsQuery } from "../api/queries";
import { upload, write } from "../api/client";
import type { Sound } from "../api/types";
import { Empty, ListState } from "../ui/ListState";
import { duration, instant } from "../util/format";

const KINDS = "audio/wav,audio/x-wav,audio/mpeg,audio/ogg,audio/flac,.wav,.mp3,.ogg,.flac";

/** The library of sounds that call flows play. */
export function SoundsPage() {
  const sounds = useQuery(soundsQuery);
  const { data: me } = useQuery(meQuery);
  const manages = me?.manages ?? false;
  return (
    <Stack>
      <Title order={1} size="h2">
        Sounds
      </Title>
      {manages && <Upload />}
      {sounds.data?.missing.map((missing) => (
        <Alert key={missing.name} color="orange" variant="outline" icon={<IconAlertTriangle aria-hidden />} title={`“${missing.name}” is missing`}>
          {missing.usedBy.join(", ")} plays it, but there is no sound of this name. Callers hear nothing there.
        </Alert>
      ))}
      <ListState
        query={sounds}
        isEmpty={(data) => data.items.length === 0}
        empty={
          <Empty title="No sounds yet">
            Upload a greeting or your own music. Call flows play a sound by its name; {sounds.data?.builtIn.join(", ")} are always there.
          </Empty>
        }
      >
        {(data) => <SoundTable sounds={data.items} manages={manages} />}
      </ListState>
    </Stack>
  );
}

function Upload() {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [file, setFile] = useState<File | null>(null);
  const [percent, setPercent] = useState(0);
  const send = useMutation({
    mutationFn: async () => {
      if (!file) throw new Error("Choose a file first.");
      await upload(`/sounds?name=${encodeURIComponent(name)}`, file, setPercent);
    },
    onSuccess: async () => {
      setName("");
      setFile(null);
      await queries.invalidateQueries({ queryKey: ["sounds"] });
    },
    onSettled: () => setPercent(0),
  });
  const choose = (chosen: File | null) => {
    setFile(chosen);
    send.reset();
    if (chosen && name === "") setName(chosen.name.replace(/\.[^.]+$/, ""));
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <Stack gap="xs" maw={720}>
        <Group align="flex-end" gap="sm">
          <FileButton onChange={choose} accept={KINDS}>
            {(props) => (
              <Button {...props} variant="default" leftSection={<IconUpload size={16} aria-hidden />}>
                {file ? file.name : "Choose a file"}
              </Button>
            )}
          </FileButton>
          <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} maxLength={80} flex={1} miw={180} />
          <Button type="submit" disabled={!file || name.trim() === ""} loading={send.isPending}>
            Upload
          </Button>
        </Group>
        {send.isPending && <Progress value={percent} aria-label="Upload" animated={percent === 100} />}
        {send.isError && (
          <Text size="sm" c="red" role="alert">
            {send.error.message}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          WAV, MP3, OGG (Vorbis) or FLAC, up to 30 MB and 10 minutes.
        </Text>
      </Stack>
    </form>
  );
}

function SoundTable({ sounds, manages }: { sounds: Sound[]; manages: boolean }) {
  const [renamed, setRenamed] = useState<Sound | null>(null);
  const [deleted, setDeleted] = useState<Sound | null>(null);
  return (
    <>
      <Table.ScrollContainer minWidth={640}>
        <Table verticalSpacing="sm" highlightOnHover>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Length</Table.Th>
              <Table.Th>Played by</Table.Th>
              <Table.Th>Uploaded</Table.Th>
              <Table.Th>Actions</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sounds.map((sound) => (
              <SoundRow key={sound.id} sound={sound} manages={manages} onRename={() => setRenamed(sound)} onDelete={() => setDeleted(sound)} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {renamed && <Rename sound={renamed} onClose={() => setRenamed(null)} />}
      {deleted && <Delete sound={deleted} onClose={() => setDeleted(null)} />}
    </>
  );
}

interface RowProps {
  sound: Sound;
  manages: boolean;
  onRename: () => void;
  onDelete: () => void;
}

function SoundRow({ sound, manages, onRename, onDelete }: RowProps) {
  const [heard, setHeard] = useState(false);
  const { data: me } = useQuery(meQuery);
  const used = sound.usedBy.length > 0;
  const why = used ? ` (played by ${sound.usedBy.join(", ")})` : "";
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={550}>
          {sound.name}
        </Text>
      </Table.Td>
      <Table.Td>{duration(sound.durationMs)}</Table.Td>
      <Table.Td>
        <Group gap={4}>
          {used ? sound.usedBy.map((flow) => <Badge key={flow}>{flow}</Badge>) : <Text c="dimmed">Nothing</Text>}
        </Group>
      </Table.Td>
      <Table.Td>{instant(sound.createdAt, me?.timeZone ?? "UTC")}</Table.Td>
      <Table.Td>
        <Group gap="xs" wrap="nowrap">
          {heard ? (
            // biome-ignore lint/a11y/useMediaCaption: a sound of the caller's menu has no captions
            <audio controls autoPlay src={soundAudioUrl(sound.id)} style={{ height: 34, width: 220 }} aria-label={sound.name} />
          ) : (
            <ActionIcon variant="default" size="lg" onClick={() => setHeard(true)} aria-label={`Play ${sound.name}`}>
              <IconPlayerPlay size={16} aria-hidden />
            </ActionIcon>
          )}
          {manages && (
            <>
              <ActionIcon variant="default" size="lg" disabled={used} onClick={onRename} aria-label={`Rename ${sound.name}${why}`}>
                <IconPencil size={16} aria-hidden />
              </ActionIcon>
              <ActionIcon variant="default" size="lg" disabled={used} onClick={onDelete} aria-label={`Delete ${sound.name}${why}`}>
                <IconTrash size={16} aria-hidden />
              </ActionIcon>
            </>
          )}
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

function Rename({ sound, onClose }: { sound: Sound; onClose: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(sound.name);
  const rename = useMutation({
    mutationFn: () => write("PATCH", `/sounds/${sound.id}`, { name }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["sounds"] });
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Rename ${sound.name}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          rename.mutate();
        }}
      >
        <Stack>
          <TextInput label="Name" value={name} maxLength={80} onChange={(event) => setName(event.currentTarget.value)} error={rename.error?.message} data-autofocus />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={rename.isPending} disabled={name.trim() === ""}>
              Rename
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Delete({ sound, onClose }: { sound: Sound; onClose: () => void }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => write("DELETE", `/sounds/${sound.id}`),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["sounds"] });
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Delete ${sound.name}?`}>
      <Stack>
        <Text size="sm">The sound is removed for good. No call flow plays it.</Text>
        {remove.isError && (
          <Text size="sm" c="red" role="alert">
            {remove.error.message}
          </Text>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Keep it
          </Button>
          <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
            Delete
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
