import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconShieldExclamation } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { change } from "../api/client";
import { outgoingQuery } from "../api/queries";
import type { Me } from "../api/types";
import { instant } from "../util/format";

/** Whose outgoing calls are stopped: it must not be overlooked, whatever page one is on. */
export function Stops({ me }: { me: Me }) {
  const queries = useQueryClient();
  const outgoing = useQuery(outgoingQuery);
  const release = useMutation({
    mutationFn: (agent: number | null) => change("POST", "/outgoing/release", me.csrf, { agent }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["outgoing"] }),
  });
  const stops = outgoing.data?.stops ?? [];
  if (stops.length === 0) return null;
  return (
    <Stack mb="lg">
      {stops.map((stop) => (
        <Alert key={stop.agent ?? "company"} color="red" variant="outline" icon={<IconShieldExclamation aria-hidden />} title="Outgoing calls are stopped" role="alert">
          <Group justify="space-between">
            <Text size="sm" maw={720}>
              {stop.agent === null ? "The whole company" : (stop.agentName ?? `Agent ${stop.agent}`)}: {stop.reason}, since {instant(stop.at, me.timeZone)}. If somebody else called, change
              the phone's password first.
            </Text>
            <Button size="xs" loading={release.isPending} onClick={() => release.mutate(stop.agent)}>
              Release
            </Button>
          </Group>
          {release.isError && <Text size="sm">{release.error.message}</Text>}
        </Alert>
      ))}
    </Stack>
  );
}
