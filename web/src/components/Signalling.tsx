import { Accordion, ActionIcon, Button, Code, Group, Modal, ScrollArea, Stack, Tabs, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconArrowsExchange, IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { captureUrl, signallingQuery } from "../api/queries";
import type { Call, SignallingMessage } from "../api/types";
import { Empty, ListState } from "../ui/ListState";

/** Opens what was said on the wire for a call. */
export function SignallingButton({ call }: { call: Call }) {
  const [opened, { open, close }] = useDisclosure(false);
  const whom = call.contact ?? call.external ?? "a hidden number";
  const label = `Signalling of the call with ${whom}`;
  return (
    <>
      <Tooltip label="Signalling" disabled={opened}>
        <ActionIcon variant="default" size="lg" onClick={open} aria-label={label}>
          <IconArrowsExchange size={16} aria-hidden />
        </ActionIcon>
      </Tooltip>
      <Modal opened={opened} onClose={close} title={label} size="80rem" closeButtonProps={{ "aria-label": "Close" }}>
        {opened && <Shown call={call} />}
      </Modal>
    </>
  );
}

function Shown({ call }: { call: Call }) {
  const signalling = useQuery(signallingQuery(call.id));
  return (
    <ListState
      query={signalling}
      isEmpty={(data) => data.messages.length === 0}
      empty={<Empty title="Nothing is remembered of this call">The server keeps the signalling of the last calls only, and forgets it when it ends.</Empty>}
    >
      {(data) => (
        <Stack>
          <Group justify="space-between">
            <Text size="sm" c="dimmed">
              Passwords, keys and pressed digits are masked.
            </Text>
            <Button component="a" href={captureUrl(call.id)} download={`call-${call.id}.pcap`} variant="default" size="xs" leftSection={<IconDownload size={14} aria-hidden />}>
              Download for Wireshark
            </Button>
          </Group>
          <Tabs defaultValue="ladder">
            <Tabs.List>
              <Tabs.Tab value="ladder">Ladder</Tabs.Tab>
              <Tabs.Tab value="messages">Messages</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="ladder" pt="sm">
              <Wide label="Ladder diagram" text={data.ladder} />
            </Tabs.Panel>
            <Tabs.Panel value="messages" pt="sm">
              <Messages messages={data.messages} />
            </Tabs.Panel>
          </Tabs>
        </Stack>
      )}
    </ListState>
  );
}

function Messages({ messages }: { messages: SignallingMessage[] }) {
  return (
    <Accordion multiple variant="contained">
      {messages.map((message, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a message may come twice, and the list does not change
        <Accordion.Item key={index} value={String(index)}>
          <Accordion.Control>
            <Group gap="md">
              <Text size="sm" fw={550}>
                {message.summary}
              </Text>
              <Text size="xs" c="dimmed">
                {message.from} to {message.to}, {message.transport}
              </Text>
            </Group>
          </Accordion.Control>
          <Accordion.Panel>
            <Wide label={message.summary} text={message.text} />
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  );
}

/** Text that keeps its columns and scrolls sideways, by keyboard too. */
function Wide({ label, text }: { label: string; text: string }) {
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: "region", "aria-label": label }}>
      <Code block style={{ whiteSpace: "pre", overflow: "visible", minWidth: "max-content" }}>
        {text}
      </Code>
    </ScrollArea>
  );
}
