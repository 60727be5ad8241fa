import { ActionIcon, Alert, Button, Card, Group, MultiSelect, NumberInput, Select, Stack, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { IconArrowDown, IconArrowUp, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { change } from "../api/client";
import type { Bounds, OutgoingSettings, Rule, Trunk } from "../api/types";

interface Props {
  settings: OutgoingSettings;
  trunks: Trunk[];
  csrf: string;
}

/** A company's routes, recording switches and the bounds that stop toll fraud. */
export function OutgoingForm({ settings, trunks, csrf }: Props) {
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
      <Routes routes={draft.routes} trunks={trunks} onChange={(routes) => set({ routes })} />
      <Group>
      </Group>
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
      {night && (
        <NumberInput
          label={`Calls abroad within an hour, ${night.hours.from.slice(0, 5)} to ${night.hours.to.slice(0, 5)}`}
          min={0}
          allowDecimal={false}
          maw={320}
          value={night.calls_per_hour}
          onChange={(value) => typeof value === "number" && fraud({ night: { ...night, calls_per_hour: value } })}
        />
      )}
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
      </Group>
    </div>
  );
}

function Routes({ routes, trunks, onChange }: { routes: Rule[]; trunks: Trunk[]; onChange: (routes: Rule[]) => void }) {
  const put = (at: number, rule: Rule) => onChange(routes.map((known, index) => (index === at ? rule : known)));
  const move = (at: number, to: number) => {
    const next = [...routes];
    const [rule] = next.splice(at, 1);
    if (rule) next.splice(to, 0, rule);
    onChange(next);
  };
  const add = () => onChange([...routes, { name: `Route ${routes.length + 1}`, prefixes: [], groups: [], hours: null, action: { type: "trunks", trunks: [], order: "least_cost" } }]);
  return (
    <Stack gap="sm">
      <div>
        <Title order={3} size="h4">
          Routes
        </Title>
        <Text size="sm" c="dimmed">
          {routes.length === 0 ? "None: every trunk is asked, the cheapest first." : "The first that fits a number decides."}
        </Text>
      </div>
      {routes.map((rule, at) => (
        // Rules have no identity but their place.
        <Card key={at} withBorder padding="sm">
          <Stack gap="xs">
            <Group wrap="nowrap" align="flex-end">
              <TextInput label="Name" flex={1} value={rule.name} onChange={(event) => put(at, { ...rule, name: event.currentTarget.value })} />
              <ActionIcon variant="default" size="lg" aria-label={`Move ${rule.name} up`} disabled={at === 0} onClick={() => move(at, at - 1)}>
                <IconArrowUp size={16} aria-hidden />
              </ActionIcon>
              <ActionIcon variant="default" size="lg" aria-label={`Move ${rule.name} down`} disabled={at === routes.length - 1} onClick={() => move(at, at + 1)}>
                <IconArrowDown size={16} aria-hidden />
              </ActionIcon>
              <ActionIcon variant="default" size="lg" aria-label={`Remove ${rule.name}`} onClick={() => onChange(routes.filter((_, index) => index !== at))}>
                <IconTrash size={16} aria-hidden />
              </ActionIcon>
            </Group>
            <TagsInput label="Numbers that begin with" placeholder={rule.prefixes.length === 0 ? "All numbers" : undefined} value={rule.prefixes} onChange={(prefixes) => put(at, { ...rule, prefixes })} />
            <Select
              label="What to do"
              allowDeselect={false}
              data={[
                { value: "least_cost", label: "Ask trunks, the cheapest first" },
                { value: "listed", label: "Ask trunks in this order" },
                { value: "refuse", label: "Refuse the call" },
              ]}
              value={rule.action.type === "refuse" ? "refuse" : rule.action.order}
              onChange={(chosen) => {
                if (chosen === "refuse") put(at, { ...rule, action: { type: "refuse", reason: "not allowed" } });
                if (chosen === "least_cost" || chosen === "listed") {
                  put(at, { ...rule, action: { type: "trunks", trunks: rule.action.type === "trunks" ? rule.action.trunks : [], order: chosen } });
                }
              }}
            />
            <RuleAction rule={rule} trunks={trunks} onChange={(next) => put(at, next)} />
          </Stack>
        </Card>
      ))}
      <Group>
        <Button variant="default" onClick={add}>
          Add route
        </Button>
      </Group>
    </Stack>
  );
}

function RuleAction({ rule, trunks, onChange }: { rule: Rule; trunks: Trunk[]; onChange: (rule: Rule) => void }) {
  const { action } = rule;
  if (action.type === "refuse") {
    return <TextInput label="Why, for the agent" value={action.reason} onChange={(event) => onChange({ ...rule, action: { type: "refuse", reason: event.currentTarget.value } })} />;
  }
  return (
    <MultiSelect
      label="Trunks"
      placeholder={action.trunks.length === 0 ? "All trunks" : undefined}
      data={trunks.map((trunk) => ({ value: String(trunk.id), label: trunk.name }))}
      value={action.trunks.map(String)}
      onChange={(ids) => onChange({ ...rule, action: { ...action, trunks: ids.map(Number) } })}
    />
  );
}
