import { Anchor, Badge, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { connectionsQuery, meQuery } from "../api/queries";
import type { Connection, ConnectionState } from "../api/types";
import { Command } from "../ui/Command";
import { Empty, ListState } from "../ui/ListState";
import { tones } from "../ui/tones";
import { instant } from "../util/format";

const STATES: Record<ConnectionState, { label: string; color: string }> = {
  READY: { label: "Ready", color: tones.good },
  CLIENT_ACTION_REQUIRED: { label: "Needs you", color: tones.attention },
  BUILDING: { label: "Being built", color: tones.active },
  DISCONNECTING: { label: "Disconnecting", color: tones.quiet },
  CONFIGURATION_ERROR: { label: "Configuration error", color: tones.bad },
  SETUP_FAILED: { label: "Set-up failed", color: tones.bad },
};

export function ConnectionsPage() {
  const connections = useQuery(connectionsQuery);
  return (
    <Stack>
      <div>
        <Title order={1} size="h2">
          Connections
        </Title>
        <Text c="dimmed">Apps that agents and programs reach through the gateway, with credentials they never see.</Text>
      </div>
      <ListState
        query={connections}
        isEmpty={(data) => data.items.length === 0}
        empty={
          <Empty title="Nothing is connected yet">
            <Stack>
              <span>Connect this phone system as the first app:</span>
              <Command text={'membrane connection ensure "https://www.cloudtalk.io/" --json'} />
            </Stack>
          </Empty>
        }
      >
        {(data) => <ConnectionTable connections={data.items} />}
      </ListState>
    </Stack>
  );
}

function ConnectionTable({ connections }: { connections: Connection[] }) {
  const { data: me } = useQuery(meQuery);
  const when = (at: string | null) => (at ? instant(at, me?.timeZone ?? "UTC") : "Never");
  return (
    <Table.ScrollContainer minWidth={680}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>App</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Last used</Table.Th>
            <Table.Th>Id</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {connections.map((connection) => (
            <Table.Tr key={connection.id}>
              <Table.Td fw={550}>{connection.name}</Table.Td>
              <Table.Td>{connection.app}</Table.Td>
              <Table.Td>
                <Badge color={STATES[connection.state].color}>{STATES[connection.state].label}</Badge>
                {connection.connectUrl && (
                  <Anchor href={connection.connectUrl} size="sm" ml="xs">
                    Connect
                  </Anchor>
                )}
                {connection.error && (
                  <Text size="xs" c="red" mt={4}>
                    {connection.error}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>{when(connection.lastActiveAt)}</Table.Td>
              <Table.Td ff="monospace" fz="xs">
                {connection.id}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
