import { Card, Code, List, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { meQuery, numbersQuery } from "../api/queries";
import type { Me, PhoneNumber } from "../api/types";
import { Command } from "../ui/Command";
import { Empty, ListState } from "../ui/ListState";

export function StartPage() {
  const { data: me } = useQuery(meQuery);
  if (!me) return null;
  return (
    <Stack maw={860}>
      <Title order={1} size="h2">
        Get started
      </Title>
      <Phones me={me} />
      <Calls me={me} />
      <Agents me={me} />
    </Stack>
  );
}

function Step({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Card withBorder padding="lg" component="section">
      <Stack gap="sm">
        <Title order={2} size="h4">
          {title}
        </Title>
        {children}
      </Stack>
    </Card>
  );
}

function Phones({ me }: { me: Me }) {
  const { sipHost, sipPort } = me.addresses;
  return (
    <Step title="1. Register a phone">
      <Text>
        Any SIP phone or softphone works. Give it the server <Code>{`${sipHost}:${sipPort}`}</Code> (UDP or TCP), an agent's
        user name and his SIP password. A demo company's passwords are in <Code>demo.json</Code> in the data folder.
      </Text>
    </Step>
  );
}

function Calls({ me }: { me: Me }) {
  const numbers = useQuery(numbersQuery);
  return (
    <Step title="2. Call one of your numbers">
      <ListState
        query={numbers}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="You have no numbers yet">A number comes with a carrier trunk.</Empty>}
      >
        {(data) => <NumberTable numbers={data.items} me={me} />}
      </ListState>
      <Text>
        Answer on the registered phone. The call shows under Calls while it runs, and its recording can be played there
        when it ends.
      </Text>
    </Step>
  );
}

function NumberTable({ numbers, me }: { numbers: PhoneNumber[]; me: Me }) {
  const { sipHost, sipPort } = me.addresses;
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Number</Table.Th>
            <Table.Th>Name</Table.Th>
            <Table.Th>Answered by</Table.Th>
            <Table.Th>Dial as</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {numbers.map((number) => (
            <Table.Tr key={number.id}>
              <Table.Td fw={550}>{number.e164}</Table.Td>
              <Table.Td>{number.name}</Table.Td>
              <Table.Td>{number.route ? `${number.route.name} (${number.route.kind})` : "An announcement"}</Table.Td>
              <Table.Td ff="monospace" fz="xs">
                sip:{number.e164}@{sipHost}:{sipPort}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Agents({ me }: { me: Me }) {
  return (
    <Step title="3. Let an AI agent use it">
      <List type="ordered" spacing="md" styles={{ itemWrapper: { width: "100%" }, itemLabel: { width: "100%" } }}>
        <List.Item>
          Sign in, as yourself, for the agent:
          <Command text={`membrane login --tenant --clientName=claude --apiUri ${me.addresses.membraneApi}`} />
        </List.Item>
        <List.Item>
          Connect this phone system:
          <Command text={'membrane connection ensure "https://www.cloudtalk.io/" --json'} />
        </List.Item>
        <List.Item>
          Find an action by what it should do:
          <Command text={'membrane action list --connectionId=CONNECTION_ID --intent "get a call recording" --limit 10 --json'} />
        </List.Item>
        <List.Item>
          Run it:
          <Command text="membrane action run list-calls --connectionId=CONNECTION_ID --json" />
        </List.Item>
      </List>
      <Text c="dimmed" size="sm">
        Programs written for the CloudTalk interface use <Code>{me.addresses.cloudtalkApi}</Code> as their base address.
      </Text>
    </Step>
  );
}
