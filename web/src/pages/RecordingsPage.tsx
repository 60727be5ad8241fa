import { Alert, Button, Group, NumberInput, Pagination, Radio, Stack, Switch, Table, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "../api/client";
import { meQuery, receiptsQuery, recordingSettingsQuery } from "../api/queries";
import type { PauseMode, RecordingSettings } from "../api/types";
import { Empty, ListState } from "../ui/ListState";
import { instant } from "../util/format";

/** What is recorded, how long it is kept, and what was deleted. */
export function RecordingsPage() {
  const settings = useQuery(recordingSettingsQuery);
  return (
    <Stack gap="xl">
      <Title order={1} size="h2">
        Recordings
      </Title>
      <ListState query={settings} isEmpty={() => false} empty={null}>
        {(data) => <SettingsForm key={JSON.stringify(data)} known={data} />}
      </ListState>
      <Receipts />
    </Stack>
  );
}

function SettingsForm({ known }: { known: RecordingSettings }) {
  const queries = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const [settings, setSettings] = useState(known);
  const change = (part: Partial<RecordingSettings>) => setSettings((before) => ({ ...before, ...part }));
  const save = useMutation({
    mutationFn: () => write("PUT", "/recording-settings", settings),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["recording-settings"] }),
  });
  const readOnly = !(me?.manages ?? false);
  const toggle = (key: "incoming" | "outgoing" | "internal" | "agentsMaySwitch", label: string) => (
    <Switch label={label} disabled={readOnly} checked={settings[key]} onChange={(event) => change({ [key]: event.currentTarget.checked })} />
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack maw={560}>
        <Title order={2} size="h4">
          What is recorded
        </Title>
        {toggle("incoming", "Incoming calls")}
        {toggle("outgoing", "Outgoing calls")}
        {toggle("internal", "Calls between agents")}
        <Text size="xs" c="dimmed">
          A number's or an agent's own setting comes before these, and a recording step in a call flow before all of them.
        </Text>
        {toggle("agentsMaySwitch", "Agents may pause and resume recording")}
        <Radio.Group
          label="Paused parts"
          value={settings.pauseMode}
          onChange={(value) => change({ pauseMode: value as PauseMode })}
        >
          <Group mt="xs">
            <Radio value="cut" label="Cut out" disabled={readOnly} />
            <Radio value="silence" label="Silent" disabled={readOnly} />
          </Group>
        </Radio.Group>
        <Title order={2} size="h4" mt="sm">
          How long they are kept
        </Title>
        <Group grow>
          <Days label="Conversations" value={settings.conversationDays} disabled={readOnly} onChange={(days) => change({ conversationDays: days })} />
          <Days label="Messages" value={settings.voicemailDays} disabled={readOnly} onChange={(days) => change({ voicemailDays: days })} />
        </Group>
        <Text size="xs" c="dimmed">
          What is older is deleted within the hour, also what was recorded before. A receipt of each stays below.
        </Text>
        {save.isError && (
          <Text size="sm" c="red" role="alert">
            {save.error.message}
          </Text>
        )}
        {!readOnly && (
          <Group>
            <Button type="submit" loading={save.isPending} disabled={JSON.stringify(settings) === JSON.stringify(known)}>
              Save
            </Button>
          </Group>
        )}
      </Stack>
    </form>
  );
}

interface DaysProps {
  label: string;
  value: number | null;
  disabled: boolean;
  onChange: (days: number | null) => void;
}

function Days({ label, value, disabled, onChange }: DaysProps) {
  return (
    <NumberInput
      label={label}
      placeholder="For ever"
      suffix=" days"
      min={1}
      max={36_500}
      allowDecimal={false}
      disabled={disabled}
      value={value ?? ""}
      onChange={(days) => onChange(days === "" ? null : Number(days))}
    />
  );
}

function Receipts() {
  const [page, setPage] = useState(1);
  const receipts = useQuery(receiptsQuery(page));
  const { data: me } = useQuery(meQuery);
  const zone = me?.timeZone ?? "UTC";
  return (
    <Stack>
      <Title order={2} size="h4">
        Deleted
      </Title>
      {receipts.data?.problem && (
        <Alert color="orange" variant="outline" icon={<IconAlertTriangle aria-hidden />} title="Recordings wait to be archived">
          {receipts.data.waiting} of them are still in the data folder: {receipts.data.problem}
        </Alert>
      )}
      <ListState query={receipts} isEmpty={(data) => data.items.length === 0} empty={<Empty title="Nothing was deleted">Each recording that is deleted leaves a receipt here.</Empty>}>
        {(data) => (
          <>
            <Table.ScrollContainer minWidth={640}>
              <Table verticalSpacing="sm">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Call</Table.Th>
                    <Table.Th>What</Table.Th>
                    <Table.Th>Recorded</Table.Th>
                    <Table.Th>Deleted</Table.Th>
                    <Table.Th>Why</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {data.items.map((receipt) => (
                    <Table.Tr key={`${receipt.call} ${receipt.recordedAt} ${receipt.deletedAt}`}>
                      <Table.Td>{receipt.call}</Table.Td>
                      <Table.Td>{receipt.kind === "voicemail" ? "Message" : "Conversation"}</Table.Td>
                      <Table.Td>{instant(receipt.recordedAt, zone)}</Table.Td>
                      <Table.Td>{instant(receipt.deletedAt, zone)}</Table.Td>
                      <Table.Td>{receipt.rule}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
            {data.pages > 1 && <Pagination total={data.pages} value={data.page} onChange={setPage} getControlProps={(control) => ({ "aria-label": `To the ${control} page` })} />}
          </>
        )}
      </ListState>
    </Stack>
  );
}
