import { Button, Menu, Text } from "@mantine/core";
import { IconEar, IconHeadphones, IconMessageCircle, IconUsers } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { monitor } from "../api/queries";
import type { Call, MonitorMode } from "../api/types";

const MODES: { mode: MonitorMode; label: string; what: string; icon: typeof IconEar }[] = [
  { mode: "listen", label: "Listen", what: "Nobody hears you", icon: IconEar },
  { mode: "whisper", label: "Whisper", what: "Only the agent hears you", icon: IconMessageCircle },
  { mode: "barge", label: "Join", what: "Everybody hears you", icon: IconUsers },
];

/** Lets a supervisor take part in a running call: his own phone rings. Choosing again changes how he does. */
export function MonitorMenu({ call }: { call: Call }) {
  const ring = useMutation({ mutationFn: (mode: MonitorMode) => monitor(call.id, mode) });
  if (!call.mayMonitor) return null;
  return (
    <>
      <Menu position="bottom-start">
        <Menu.Target>
          <Button size="xs" mt={4} variant="default" leftSection={<IconHeadphones size={14} aria-hidden />} loading={ring.isPending}>
            Listen in
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {MODES.map(({ mode, label, what, icon: Icon }) => (
            <Menu.Item key={mode} leftSection={<Icon size={16} aria-hidden />} onClick={() => ring.mutate(mode)}>
              {label}
              <Text size="xs" c="dimmed">
                {what}
              </Text>
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {ring.isSuccess && (
        <Text size="xs" c="dimmed" role="status">
          Your phone rings.
        </Text>
      )}
      {ring.isError && (
        <Text size="xs" c="red" role="alert">
          {ring.error.message}
        </Text>
      )}
    </>
  );
}
