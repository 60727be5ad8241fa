import { ActionIcon, Button, Card, Group, MultiSelect, Select, Stack, Switch, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { IconArrowDown, IconArrowUp, IconTrash } from "@tabler/icons-react";
import type { Hours, Outgoing, Rule, Trunk } from "../api/types";
import { HoursFields } from "./HoursFields";

/** What hours begin with. */
const OFFICE: Hours = { from: "08:00:00", to: "18:00:00", days: [1, 2, 3, 4, 5] };

interface Props {
  routes: Rule[];
  trunks: Trunk[];
  groups: Outgoing["groups"];
  onChange: (routes: Rule[]) => void;
}

/** Which calls go out by which trunks, or don't. */
export function Routes({ routes, trunks, groups, onChange }: Props) {
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
            <MultiSelect
              label="Called by members of"
              placeholder={rule.groups.length === 0 ? "Everybody" : undefined}
              data={groups.map(({ id, name }) => ({ value: String(id), label: name }))}
              value={rule.groups.map(String)}
              onChange={(ids) => put(at, { ...rule, groups: ids.map(Number) })}
            />
            <Switch label="Only at certain hours" checked={rule.hours !== null} onChange={(event) => put(at, { ...rule, hours: event.currentTarget.checked ? OFFICE : null })} />
            {rule.hours && <HoursFields of={rule.name} hours={rule.hours} onChange={(hours) => put(at, { ...rule, hours })} />}
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
