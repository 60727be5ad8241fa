import { Badge, Group, Stack, Table, Text, Title } from "@mantine/core";
import { IconPhone, IconPhoneOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { agentsQuery } from "../api/queries";
import type { Agent, AgentState, Availability } from "../api/types";
import { Empty, ListState } from "../ui/ListState";
import { tones } from "../ui/tones";

const AVAILABILITIES: Record<Availability, { label: string; color: string }> = {
  online: { label: "Online", color: tones.good },
  idle: { label: "Idle", color: tones.attention },
  offline: { label: "Offline", color: tones.quiet },
};

const STATES: Record<AgentState, string> = {
  available: "Takes the next call",
  ringing: "Phone rings",
  on_call: "On a call",
  wrap_up: "Wrap-up",
  away: "Away",
};

export function AgentsPage() {
  const agents = useQuery(agentsQuery);
  return (
    <Stack>
      <Title order={1} size="h2">
        Agents
      </Title>
      <ListState
        query={agents}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="No agents yet">Add them through the CloudTalk interface: PUT /agents/add.json.</Empty>}
      >
        {(data) => <AgentTable agents={data.items} />}
      </ListState>
    </Stack>
  );
}

function AgentTable({ agents }: { agents: Agent[] }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Agent</Table.Th>
            <Table.Th>Extension</Table.Th>
            <Table.Th>Groups</Table.Th>
            <Table.Th>Switch</Table.Th>
            <Table.Th>Device</Table.Th>
            <Table.Th>Now</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {agents.map((agent) => (
            <AgentRow key={agent.id} agent={agent} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function AgentRow({ agent }: { agent: Agent }) {
  const { label, color } = AVAILABILITIES[agent.availability];
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={550}>
          {agent.name}
        </Text>
        <Text size="xs" c="dimmed">
          {agent.email}
        </Text>
      </Table.Td>
      <Table.Td>{agent.extension}</Table.Td>
      <Table.Td>{agent.groups.join(", ") || "–"}</Table.Td>
      <Table.Td>
        <Badge color={color}>{label}</Badge>
      </Table.Td>
      <Table.Td>
        <Device count={agent.devices} />
      </Table.Td>
      <Table.Td>{now(agent)}</Table.Td>
    </Table.Tr>
  );
}

/** Without a phone nobody can call him, whatever his switch says: that is what a supervisor must see. */
function now(agent: Agent): string {
  if (agent.state === "away" && agent.availability === "online" && agent.devices === 0) return "No phone";
  return agent.state ? STATES[agent.state] : "–";
}

function Device({ count }: { count: number }) {
  const Icon = count > 0 ? IconPhone : IconPhoneOff;
  const label = count === 0 ? "Not registered" : count === 1 ? "Registered" : `${count} registered`;
  return (
    <Group gap={6} wrap="nowrap">
      <Icon size={16} aria-hidden />
      <Text size="sm">{label}</Text>
    </Group>
  );
}
