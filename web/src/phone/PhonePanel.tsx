import { ActionIcon, Alert, Box, Button, Collapse, Dialog, Group, NativeSelect, SegmentedControl, SimpleGrid, Stack, Text, TextInput, Title, VisuallyHidden } from "@mantine/core";
import { IconBackspace, IconDialpad, IconMicrophone, IconMicrophoneOff, IconPhone, IconPhoneCall, IconPhoneOff, IconPlayerPause, IconPlayerPlay, IconSettings, IconX } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState, useSyncExternalStore } from "react";
import { change } from "../api/client";
import { phoneQuery } from "../api/queries";
import type { Availability, Me } from "../api/types";
import { tones } from "../ui/tones";
import { duration } from "../util/format";
import { type PhoneCall, type Registration, softphone } from "./softphone";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"] as const;

/** The button in the header and the panel it opens. Absent for people who are no agents. */
export function PhonePanel({ me }: { me: Me }) {
  const account = useQuery(phoneQuery);
  const { registration, call, problem } = useSyncExternalStore(softphone.subscribe, softphone.get);
  const [open, setOpen] = useState(false);
  const isAgent = account.data?.phone !== null && account.data !== undefined;

  useEffect(() => {
    softphone.csrf = me.csrf;
    if (isAgent && softphone.wanted) void softphone.turnOn();
  }, [isAgent, me.csrf]);
  const ringing = call?.direction === "incoming" && call.state === "ringing";
  useEffect(() => {
    if (ringing) setOpen(true);
  }, [ringing]);

  if (!isAgent) return null;
  return (
    <>
      <Button
        variant={call ? "filled" : "default"}
        size="xs"
        leftSection={registration.state === "registered" ? <IconPhone size={16} aria-hidden /> : <IconPhoneOff size={16} aria-hidden />}
        onClick={() => setOpen(!open)}
        aria-expanded={open}
        aria-label={`Phone: ${call ? callText(call) : STATES[registration.state]}`}
      >
        Phone
      </Button>
      <Dialog opened={open} withBorder shadow="lg" radius="md" w={320} maw="calc(100vw - 2rem)" p="md" role="region" aria-label="Phone" transitionProps={{ duration: 0 }}>
        <Stack gap="sm">
          <Group justify="space-between" wrap="nowrap">
            <Title order={2} size="h5">
              Phone
            </Title>
            <ActionIcon variant="subtle" color="gray" onClick={() => setOpen(false)} aria-label="Close the phone's panel">
              <IconX size={16} aria-hidden />
            </ActionIcon>
          </Group>
          <Status registration={registration} />
          {problem && (
            <Alert color="red" variant="outline" p="xs" role="alert">
              <Text size="sm">{problem}</Text>
            </Alert>
          )}
          {call ? <Call call={call} /> : registration.state === "registered" && <Dial />}
          {!call && <Switch me={me} />}
          {registration.state === "registered" && <Devices />}
        </Stack>
      </Dialog>
      <VisuallyHidden aria-live="assertive">{ringing && call ? `Incoming call from ${call.name ?? call.number}` : ""}</VisuallyHidden>
    </>
  );
}

const STATES: Record<Registration["state"], string> = {
  off: "off",
  elsewhere: "open in another tab",
  connecting: "connecting",
  registered: "ready",
  failed: "not connected",
};

function Status({ registration }: { registration: Registration }) {
  switch (registration.state) {
    case "registered":
      return (
        <Group justify="space-between">
          <Group gap={6}>
            <Dot color={tones.good} />
            <Text size="sm">Ready</Text>
          </Group>
          <Button size="compact-xs" variant="default" onClick={() => softphone.turnOff()}>
            Turn off
          </Button>
        </Group>
      );
    case "connecting":
      return (
        <Text size="sm" role="status">
          Connecting…
        </Text>
      );
    case "elsewhere":
      return (
        <Stack gap="xs">
          <Text size="sm">Your phone is open in another tab or window.</Text>
          <Button size="xs" variant="default" onClick={() => void softphone.turnOn(true)}>
            Use it here
          </Button>
        </Stack>
      );
    case "failed":
      return (
        <Stack gap="xs">
          <Alert color="red" variant="outline" p="xs">
            <Text size="sm">{registration.problem}</Text>
          </Alert>
          <Button size="xs" variant="default" onClick={() => void softphone.turnOn()}>
            Try again
          </Button>
        </Stack>
      );
    case "off":
      return (
        <Stack gap="xs">
          <Text size="sm">Take and place calls in this page, with a microphone or a headset.</Text>
          <Button size="xs" onClick={() => void softphone.turnOn()}>
            Turn the phone on
          </Button>
        </Stack>
      );
  }
}

function Dot({ color }: { color: string }) {
  return <Box w={10} h={10} style={{ borderRadius: "50%", background: color }} aria-hidden />;
}

function Dial() {
  const [number, setNumber] = useState("");
  const call = (event: FormEvent) => {
    event.preventDefault();
    const dialled = number.replace(/[\s()/.-]/g, "");
    if (dialled) softphone.call(dialled);
  };
  return (
    <form onSubmit={call}>
      <Stack gap="xs">
        <TextInput
          label="Number or extension"
          value={number}
          onChange={(event) => setNumber(event.currentTarget.value)}
          inputMode="tel"
          autoComplete="off"
          rightSection={
            number && (
              <ActionIcon variant="subtle" color="gray" onClick={() => setNumber(number.slice(0, -1))} aria-label="Delete the last digit">
                <IconBackspace size={16} aria-hidden />
              </ActionIcon>
            )
          }
        />
        <Keypad onKey={(key) => setNumber((text) => text + key)} />
        <Button type="submit" disabled={number.trim() === ""} leftSection={<IconPhoneCall size={16} aria-hidden />} color={tones.good}>
          Call
        </Button>
      </Stack>
    </form>
  );
}

function Keypad({ onKey }: { onKey: (key: string) => void }) {
  return (
    <SimpleGrid cols={3} spacing={6} verticalSpacing={6} role="group" aria-label="Keypad">
      {KEYS.map((key) => (
        <Button key={key} variant="default" onClick={() => onKey(key)} aria-label={NAMES[key] ?? key}>
          {key}
        </Button>
      ))}
    </SimpleGrid>
  );
}

const NAMES: Record<string, string> = { "*": "Star", "#": "Hash" };

function Call({ call }: { call: PhoneCall }) {
  const [keypad, setKeypad] = useState(false);
  const [pressed, setPressed] = useState("");
  return (
    <Stack gap="sm">
      <Box>
        <Text fw={600} size="lg" style={{ overflowWrap: "anywhere" }}>
          {call.name ?? call.number}
        </Text>
        {call.name && <Text size="sm">{call.number}</Text>}
        <Text size="sm" c="dimmed">
          {callText(call)}
          {call.since !== null && !call.held && (
            <>
              {" · "}
              <Clock since={call.since} />
            </>
          )}
        </Text>
      </Box>
      {call.direction === "incoming" && call.state === "ringing" ? (
        <Group grow>
          <Button color={tones.good} leftSection={<IconPhone size={16} aria-hidden />} onClick={() => softphone.answer()}>
            Answer
          </Button>
          <Button color={tones.bad} leftSection={<IconPhoneOff size={16} aria-hidden />} onClick={() => softphone.hangUp()}>
            Decline
          </Button>
        </Group>
      ) : (
        <>
          {call.state === "up" && (
            <Group grow gap={6} preventGrowOverflow={false}>
              <Toggle pressed={call.muted} label={call.muted ? "Unmute" : "Mute"} icon={call.muted ? IconMicrophoneOff : IconMicrophone} onClick={() => softphone.toggleMute()} />
              <Toggle pressed={call.held} label={call.held ? "Resume" : "Hold"} icon={call.held ? IconPlayerPlay : IconPlayerPause} onClick={() => softphone.toggleHold()} />
              <Toggle pressed={keypad} label="Keys" icon={IconDialpad} onClick={() => setKeypad(!keypad)} />
            </Group>
          )}
          <Collapse expanded={keypad && call.state === "up"}>
            <Stack gap="xs">
              <Text size="sm" ta="center" mih={20} aria-live="polite">
                {pressed}
              </Text>
              <Keypad
                onKey={(key) => {
                  setPressed((text) => (text + key).slice(-24));
                  void softphone.press(key);
                }}
              />
            </Stack>
          </Collapse>
          <Button color={tones.bad} leftSection={<IconPhoneOff size={16} aria-hidden />} onClick={() => softphone.hangUp()}>
            Hang up
          </Button>
        </>
      )}
    </Stack>
  );
}

function Toggle({ pressed, label, icon: Icon, onClick }: { pressed: boolean; label: string; icon: typeof IconPhone; onClick: () => void }) {
  return (
    <Button variant={pressed ? "filled" : "default"} size="xs" px={8} leftSection={<Icon size={14} aria-hidden />} aria-pressed={pressed} onClick={onClick}>
      {label}
    </Button>
  );
}

function callText(call: PhoneCall): string {
  if (call.held) return "On hold";
  if (call.state === "up") return call.muted ? "Muted" : "On a call";
  if (call.state === "answering") return "Connecting";
  return call.direction === "incoming" ? "Incoming call" : "Calling";
}

function Clock({ since }: { since: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return <span>{duration(now - since)}</span>;
}

const SWITCH: { value: Availability; label: string }[] = [
  { value: "online", label: "Online" },
  { value: "idle", label: "Idle" },
  { value: "offline", label: "Offline" },
];

/** Whether the queues offer him calls; holds for all his phones. */
function Switch({ me }: { me: Me }) {
  const queries = useQueryClient();
  const account = useQuery(phoneQuery);
  const turn = useMutation({
    mutationFn: (availability: Availability) => change("PUT", "/phone/availability", me.csrf, { availability }),
    onSettled: () => Promise.all([queries.invalidateQueries({ queryKey: ["phone"] }), queries.invalidateQueries({ queryKey: ["agents"] })]),
  });
  const shown = turn.isPending ? turn.variables : account.data?.phone?.availability;
  return (
    <Box>
      <Text size="sm" fw={500} mb={4} id="phone-switch">
        Calls from queues
      </Text>
      <SegmentedControl fullWidth size="xs" data={SWITCH} value={shown ?? "offline"} onChange={(value) => turn.mutate(value as Availability)} aria-labelledby="phone-switch" />
      {turn.isError && (
        <Text size="xs" c="red" role="alert">
          {turn.error.message}
        </Text>
      )}
    </Box>
  );
}

function Devices() {
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState<MediaDeviceInfo[]>([]);
  const [chosen, setChosen] = useState(softphone.devices);
  useEffect(() => {
    if (!open) return;
    const look = () => void navigator.mediaDevices.enumerateDevices().then(setFound);
    look();
    navigator.mediaDevices.addEventListener("devicechange", look);
    return () => navigator.mediaDevices.removeEventListener("devicechange", look);
  }, [open]);
  const list = (kind: MediaDeviceKind) => [
    { value: "", label: "As the system has it" },
    ...found.filter((device) => device.kind === kind && device.deviceId !== "" && device.deviceId !== "default").map(({ deviceId, label }, index) => ({ value: deviceId, label: label || `Device ${index + 1}` })),
  ];
  const choose = (change: Partial<typeof chosen>) => {
    const devices = { ...chosen, ...change };
    setChosen(devices);
    void softphone.use(devices);
  };
  return (
    <Box>
      <Button variant="subtle" size="compact-xs" leftSection={<IconSettings size={14} aria-hidden />} onClick={() => setOpen(!open)} aria-expanded={open}>
        Microphone and speaker
      </Button>
      <Collapse expanded={open}>
        <Stack gap="xs" pt="xs">
          <NativeSelect size="xs" label="Microphone" data={list("audioinput")} value={chosen.microphone} onChange={(event) => choose({ microphone: event.currentTarget.value })} />
          <NativeSelect size="xs" label="Speaker" data={list("audiooutput")} value={chosen.speaker} onChange={(event) => choose({ speaker: event.currentTarget.value })} />
        </Stack>
      </Collapse>
    </Box>
  );
}
