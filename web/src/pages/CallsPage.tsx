import { Anchor, Group, Pagination, Select, Stack, Table, Text, Title, Tooltip } from "@mantine/core";
import { IconArrowDownLeft, IconArrowsLeftRight, IconArrowUpRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type CallFilters, callsQuery, meQuery } from "../api/queries";
import type { Call, Direction, Me } from "../api/types";
import { AudioQuality } from "../components/AudioQuality";
import { CallStatusBadge } from "../components/CallStatusBadge";
import { MonitorMenu } from "../components/MonitorMenu";
import { RecordingPlayer } from "../components/RecordingPlayer";
import { SignallingButton } from "../components/Signalling";
import { Empty, ListState } from "../ui/ListState";
import { duration, instant } from "../util/format";

const route = getRouteApi("/calls");

const DIRECTIONS: Record<Direction, { label: string; icon: typeof IconArrowDownLeft }> = {
  incoming: { label: "Incoming", icon: IconArrowDownLeft },
  outgoing: { label: "Outgoing", icon: IconArrowUpRight },
  internal: { label: "Internal", icon: IconArrowsLeftRight },
};

export function CallsPage() {
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const calls = useQuery(callsQuery(filters));
  const filtered = filters.status !== undefined || filters.direction !== undefined;
  const narrow = (change: CallFilters) => void navigate({ search: change });

  return (
    <Stack>
      <Group justify="space-between" align="flex-end">
        <Title order={1} size="h2">
          Calls
        </Title>
        <Filters filters={filters} onChange={narrow} />
      </Group>
      <ListState
        query={calls}
        isEmpty={(data) => data.items.length === 0}
        empty={
          filtered ? (
            <Empty title="No call fits these filters">Choose other ones above.</Empty>
          ) : (
            <Empty title="No calls yet">
              <Anchor component={Link} to="/start" underline="always">
                Get started
              </Anchor>{" "}
              shows which numbers to dial.
            </Empty>
          )
        }
      >
        {(data) => (
          <>
            <CallTable calls={data.items} />
            <Group justify="space-between">
              <Text size="sm" c="dimmed">
                {data.total === 1 ? "1 call" : `${data.total} calls`}
              </Text>
              {data.pages > 1 && (
                <Pagination
                  total={data.pages}
                  value={data.page}
                  onChange={(page) => narrow({ ...filters, page })}
                  getControlProps={(control) => ({ "aria-label": `To the ${control} page` })}
                />
              )}
            </Group>
          </>
        )}
      </ListState>
    </Stack>
  );
}

function Filters({ filters, onChange }: { filters: CallFilters; onChange: (filters: CallFilters) => void }) {
  const { page: _, ...kept } = filters;
  return (
    <Group gap="sm">
      <Select
        label="Direction"
        placeholder="All"
        clearable
        w={150}
        data={Object.entries(DIRECTIONS).map(([value, { label }]) => ({ value, label }))}
        value={filters.direction ?? null}
        onChange={(value) => {
          const { direction: __, ...rest } = kept;
          onChange(value ? { ...rest, direction: value as Direction } : rest);
        }}
      />
      <Select
        label="Result"
        placeholder="All"
        clearable
        w={150}
        data={[
          { value: "answered", label: "Answered" },
          { value: "missed", label: "Missed" },
        ]}
        value={filters.status ?? null}
        onChange={(value) => {
          const { status: __, ...rest } = kept;
          onChange(value === "answered" || value === "missed" ? { ...rest, status: value } : rest);
        }}
      />
    </Group>
  );
}

function CallTable({ calls }: { calls: Call[] }) {
  const { data: me } = useQuery(meQuery);
  return (
    <Table.ScrollContainer minWidth={940}>
      <Table verticalSpacing="sm" horizontalSpacing={6} fz="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Who</Table.Th>
            <Table.Th>Our number</Table.Th>
            <Table.Th>Agent</Table.Th>
            <Table.Th>Result</Table.Th>
            <Table.Th>Started</Table.Th>
            <Table.Th>Duration</Table.Th>
            <Table.Th>Audio</Table.Th>
            <Table.Th>Recording</Table.Th>
            {seesSignalling(me) && <Table.Th>Details</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {calls.map((call) => (
            <CallRow key={call.id} call={call} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** It shows where phones and carriers are. */
function seesSignalling(me: Me | undefined): boolean {
  return me?.role === "owner" || me?.role === "admin";
}

function CallRow({ call }: { call: Call }) {
  const { data: me } = useQuery(meQuery);
  const { label, icon: Icon } = DIRECTIONS[call.direction];
  const number = call.external ?? call.callee ?? call.dialled ?? "Hidden number";
  return (
    <Table.Tr>
      <Table.Td>
        <Group gap="xs" wrap="nowrap">
          <Tooltip label={label}>
            <Icon size={18} role="img" aria-label={label} />
          </Tooltip>
          <div>
            <Text size="sm" fw={550}>
              {call.contact ?? number}
            </Text>
            {call.contact && (
              <Text size="xs" c="dimmed">
                {number}
              </Text>
            )}
          </div>
        </Group>
      </Table.Td>
      <Table.Td>{call.internal ?? "–"}</Table.Td>
      <Table.Td>
        {call.agent ?? "–"}
        <MonitorMenu call={call} />
      </Table.Td>
      <Table.Td>
        <CallStatusBadge status={call.status} />
        <Ways call={call} />
      </Table.Td>
      <Table.Td>{instant(call.startedAt, me?.timeZone ?? "UTC")}</Table.Td>
      <Table.Td>
        <Text size="sm">{duration(call.totalMs)}</Text>
        {call.talkingMs > 0 && (
          <Text size="xs" c="dimmed">
            {duration(call.talkingMs)} talking
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <AudioQuality call={call} />
      </Table.Td>
      <Table.Td>
        <RecordingPlayer call={call} />
      </Table.Td>
      {seesSignalling(me) && (
        <Table.Td>
          <SignallingButton call={call} />
        </Table.Td>
      )}
    </Table.Tr>
  );
}

/** By which carriers a call went, or why it did not: what an operator asks first. */
function Ways({ call }: { call: Call }) {
  if (call.refused) {
    return (
      <Text size="xs" c="dimmed" mt={4} maw={260}>
        {call.refused}
      </Text>
    );
  }
  const last = call.attempts.at(-1);
  if (!last) return null;
  const each = call.attempts.map(({ trunk, why, failed }) => `${trunk}: ${failed ?? "connected or trying"} (${why})`);
  return (
    <Tooltip label={each.join("\n")} multiline maw={420} style={{ whiteSpace: "pre-line" }}>
      <Text size="xs" c="dimmed" mt={4} tabIndex={0}>
        by {call.attempts.map(({ trunk }) => trunk).join(", ")}
      </Text>
    </Tooltip>
  );
}
