import { Alert, Button, Group, NumberInput, Stack, Switch, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { change } from "../api/client";
import type { Bounds, Outgoing, OutgoingSettings, Trunk } from "../api/types";
import { HoursFields } from "./HoursFields";
import { MoneyInput } from "./MoneyInput";
import { Routes } from "./Routes";

/** When nobody should be calling abroad, unless somebody says otherwise. */
const NIGHT: NonNullable<OutgoingSettings["fraud"]["night"]> = { hours: { from: "21:00:00", to: "06:00:00", days: [] }, calls_per_hour: 5, dear_micros: null };

interface Props {
  outgoing: Outgoing;
  trunks: Trunk[];
  csrf: string;
}

/** A company's routes and the bounds that stop toll fraud. */
export function OutgoingForm({ outgoing: { settings, groups }, trunks, csrf }: Props) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState<OutgoingSettings>(settings);
  const set = (some: Partial<OutgoingSettings>) => setDraft((before) => ({ ...before, ...some }));
  const save = useMutation({
    mutationFn: () => change("PUT", "/outgoing", csrf, draft),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["outgoing"] }),
  });
  const changed = JSON.stringify(draft) !== JSON.stringify(settings);
  const { agent, company, night } = draft.fraud;
  const fraud = (some: Partial<OutgoingSettings["fraud"]>) => set({ fraud: { ...draft.fraud, ...some } });

  return (
    <Stack>
      <Title order={2} size="h3">
        Outgoing calls
      </Title>
      <Routes routes={draft.routes} trunks={trunks} groups={groups} onChange={(routes) => set({ routes })} />
      <div>
        <Title order={3} size="h4">
          Against toll fraud
        </Title>
        <Text size="sm" c="dimmed">
          Who goes beyond these bounds can call nobody outside until somebody here releases him. Emergency calls always go out.
        </Text>
      </div>
      <BoundsFields title="Each agent" bounds={agent} onChange={(next) => fraud({ agent: next })} />
      <BoundsFields title="The whole company" bounds={company} onChange={(next) => fraud({ company: next })} />
      <Switch label="Watch calls abroad at night" checked={night !== null} onChange={(event) => fraud({ night: event.currentTarget.checked ? NIGHT : null })} />
      {night && <NightFields night={night} onChange={(next) => fraud({ night: next })} />}
      {save.isError && (
        <Alert color="red" title="Not saved" role="alert">
          {save.error.message}
        </Alert>
      )}
      <Group>
        <Button onClick={() => save.mutate()} loading={save.isPending} disabled={!changed}>
          Save
        </Button>
        {changed && (
          <Button variant="default" onClick={() => setDraft(settings)}>
            Undo
          </Button>
        )}
      </Group>
    </Stack>
  );
}

function BoundsFields({ title, bounds, onChange }: { title: string; bounds: Bounds; onChange: (bounds: Bounds) => void }) {
  const field = (label: string, name: keyof Bounds) => (
    <NumberInput
      label={label}
      aria-label={`${title}: ${label}`}
      min={1}
      allowDecimal={false}
      placeholder="No bound"
      value={bounds[name] ?? ""}
      onChange={(value) => onChange({ ...bounds, [name]: typeof value === "number" ? value : null })}
    />
  );
  return (
    <div>
      <Text fw={550} size="sm">
        {title}
      </Text>
      <Group grow align="flex-end" preventGrowOverflow={false}>
        {field("Calls at once", "concurrent")}
        {field("Calls a minute", "per_minute")}
        {field("Minutes a day", "minutes_per_day")}
        <MoneyInput
          label="Spend a day"
          aria-label={`${title}: Spend a day`}
          placeholder="No bound"
          micros={bounds.spend_per_day_micros}
          onMicros={(spend_per_day_micros) => onChange({ ...bounds, spend_per_day_micros })}
        />
      </Group>
    </div>
  );
}

type Night = typeof NIGHT;

function NightFields({ night, onChange }: { night: Night; onChange: (night: Night) => void }) {
  return (
    <Stack gap="xs">
      <HoursFields of="Night" hours={night.hours} onChange={(hours) => onChange({ ...night, hours })} />
      <Group grow align="flex-end" preventGrowOverflow={false}>
        <NumberInput
          label="Calls abroad within an hour"
          min={0}
          allowDecimal={false}
          value={night.calls_per_hour}
          onChange={(value) => typeof value === "number" && onChange({ ...night, calls_per_hour: value })}
        />
        <MoneyInput label="Calls at home count from this price a minute" placeholder="They don't" micros={night.dear_micros} onMicros={(dear_micros) => onChange({ ...night, dear_micros })} />
      </Group>
    </Stack>
  );
}
