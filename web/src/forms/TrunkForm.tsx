import { Accordion, Alert, Button, Group, NumberInput, PasswordInput, Select, Stack, Switch, TagsInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { change } from "../api/client";
import type { NumberStyle, Trunk, TrunkSettings } from "../api/types";
import { MoneyInput } from "./MoneyInput";

const BLANK: TrunkSettings = {
  server: "",
  transport: null,
  outbound_proxy: null,
  username: null,
  auth_username: null,
  domain: null,
  register: null,
  sources: [],
  numbers_out: { style: "plus", prefix: "", strip: "" },
  numbers_in: { style: "plus", prefix: "", strip: "" },
  country: null,
  caller_id: "p_asserted_identity",
  trusted: false,
  keep_alive_seconds: 60,
  setup_seconds: 12,
  outbound: true,
  emergency: false,
  limits: { concurrent: null, per_second: null, allowed: [], denied: [], minutes_per_day: null, spend_per_day_micros: null },
};

const STYLES: { value: NumberStyle; label: string }[] = [
  { value: "plus", label: "+421200000001" },
  { value: "digits", label: "421200000001" },
  { value: "double_zero", label: "00421200000001" },
  { value: "national", label: "0200000001 at home, +… abroad" },
];

const CALLER_IDS: { value: TrunkSettings["caller_id"]; label: string }[] = [
  { value: "p_asserted_identity", label: "From and P-Asserted-Identity" },
  { value: "from", label: "From alone" },
  { value: "p_asserted_identity_only", label: "P-Asserted-Identity alone, From names our user" },
];

interface Props {
  /** Absent for a new one. */
  trunk?: Trunk;
  csrf: string;
  done: () => void;
}

/** A carrier's connection: what it needs in sight, the rest a click away. */
export function TrunkForm({ trunk, csrf, done }: Props) {
  const queries = useQueryClient();
  const [name, setName] = useState(trunk?.name ?? "");
  const [password, setPassword] = useState("");
  const [isEnabled, setEnabled] = useState(trunk?.isEnabled ?? true);
  const [settings, setSettings] = useState<TrunkSettings>(trunk?.settings ?? BLANK);
  const set = (some: Partial<TrunkSettings>) => setSettings((before) => ({ ...before, ...some }));
  const limit = (some: Partial<TrunkSettings["limits"]>) => set({ limits: { ...settings.limits, ...some } });
  const text = (value: string) => value.trim() || null;
  const count = (value: string | number) => (typeof value === "number" ? value : null);

  const save = useMutation({
    mutationFn: () => {
      const body = { name, settings, isEnabled, ...(password && { password }) };
      return trunk ? change("PUT", `/trunks/${trunk.id}`, csrf, body) : change("POST", "/trunks", csrf, body);
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["trunks"] });
      done();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };

  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput label="Name" description="Without spaces" required value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Group grow align="flex-end">
          <TextInput
            label="Server"
            description="Host, with :port unless DNS says it"
            placeholder="sip.carrier.example"
            required
            value={settings.server}
            onChange={(event) => set({ server: event.currentTarget.value.trim() })}
          />
          <Select
            label="Transport"
            placeholder="As DNS says, else UDP"
            clearable
            data={[
              { value: "udp", label: "UDP" },
              { value: "tcp", label: "TCP" },
              { value: "tls", label: "TLS" },
            ]}
            value={settings.transport}
            onChange={(transport) => set({ transport: transport as TrunkSettings["transport"] })}
          />
        </Group>
        <Group grow align="flex-end">
          <TextInput label="User name" autoComplete="off" value={settings.username ?? ""} onChange={(event) => set({ username: text(event.currentTarget.value) })} />
          <PasswordInput
            label="Password"
            autoComplete="new-password"
            placeholder={trunk?.hasPassword ? "Stays as it is" : undefined}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
        </Group>
        <Switch
          label="Register with the carrier"
          checked={settings.register !== null}
          onChange={(event) => set({ register: event.currentTarget.checked ? { expires_seconds: 300, contact_user: null } : null })}
        />
        <TagsInput
          label="Addresses its calls come from"
          description="Networks such as 203.0.113.0/24; the server's own addresses always count"
          value={settings.sources}
          onChange={(sources) => set({ sources })}
        />
        <Accordion variant="separated">
          <Accordion.Item value="numbers">
            <Accordion.Control>Numbers and caller ID</Accordion.Control>
            <Accordion.Panel>
              <Stack>
                <Select label="How we write numbers" allowDeselect={false} data={STYLES} value={settings.numbers_out.style} onChange={(style) => style && set({ numbers_out: { ...settings.numbers_out, style } })} />
                <TextInput label="Prefix before each number" value={settings.numbers_out.prefix} onChange={(event) => set({ numbers_out: { ...settings.numbers_out, prefix: event.currentTarget.value.trim() } })} />
                <Select label="How the carrier writes numbers" allowDeselect={false} data={STYLES} value={settings.numbers_in.style} onChange={(style) => style && set({ numbers_in: { ...settings.numbers_in, style } })} />
                <TextInput label="Its country" description="Whose national numbers it uses, such as SK" maxLength={2} value={settings.country ?? ""} onChange={(event) => set({ country: text(event.currentTarget.value.toUpperCase()) })} />
                <Select label="Our number goes into" allowDeselect={false} data={CALLER_IDS} value={settings.caller_id} onChange={(caller_id) => caller_id && set({ caller_id })} />
                <Switch label="Believe what it says about callers (P-Asserted-Identity)" checked={settings.trusted} onChange={(event) => set({ trusted: event.currentTarget.checked })} />
              </Stack>
            </Accordion.Panel>
          </Accordion.Item>
          <Accordion.Item value="limits">
            <Accordion.Control>Use and limits</Accordion.Control>
            <Accordion.Panel>
              <Stack>
                <Switch label="Takes outgoing calls" checked={settings.outbound} onChange={(event) => set({ outbound: event.currentTarget.checked })} />
                <Switch label="Takes emergency calls" checked={settings.emergency} onChange={(event) => set({ emergency: event.currentTarget.checked })} />
                <Group grow align="flex-end">
                  <NumberInput label="Calls at once" min={0} allowDecimal={false} placeholder="No limit" value={settings.limits.concurrent ?? ""} onChange={(value) => limit({ concurrent: count(value) })} />
                  <NumberInput label="Calls a second" min={0} allowDecimal={false} placeholder="No limit" value={settings.limits.per_second ?? ""} onChange={(value) => limit({ per_second: count(value) })} />
                  <NumberInput label="Minutes a day" min={0} allowDecimal={false} placeholder="No limit" value={settings.limits.minutes_per_day ?? ""} onChange={(value) => limit({ minutes_per_day: count(value) })} />
                </Group>
                <MoneyInput
                  label="Spend a day"
                  description="By its price list, in that list's currency"
                  placeholder="No limit"
                  micros={settings.limits.spend_per_day_micros}
                  onMicros={(spend_per_day_micros) => limit({ spend_per_day_micros })}
                />
                <TagsInput label="Only to numbers that begin with" placeholder="Everywhere" value={settings.limits.allowed} onChange={(allowed) => limit({ allowed })} />
                <TagsInput label="Never to numbers that begin with" description="The longer beginning counts" value={settings.limits.denied} onChange={(denied) => limit({ denied })} />
              </Stack>
            </Accordion.Panel>
          </Accordion.Item>
          <Accordion.Item value="more">
            <Accordion.Control>More</Accordion.Control>
            <Accordion.Panel>
              <Stack>
                <TextInput label="Outbound proxy" description="Everything is sent there instead" value={settings.outbound_proxy ?? ""} onChange={(event) => set({ outbound_proxy: text(event.currentTarget.value) })} />
                <TextInput label="Domain" description="Of From and of what we register; the server when empty" value={settings.domain ?? ""} onChange={(event) => set({ domain: text(event.currentTarget.value) })} />
                <TextInput label="User of digests" description="Where it differs from the user name" value={settings.auth_username ?? ""} onChange={(event) => set({ auth_username: text(event.currentTarget.value) })} />
                <NumberInput label="Seconds between keep-alives" description="0 asks never" min={0} max={3600} allowDecimal={false} value={settings.keep_alive_seconds} onChange={(value) => set({ keep_alive_seconds: count(value) ?? 0 })} />
                <Switch label="In use" checked={isEnabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />
              </Stack>
            </Accordion.Panel>
          </Accordion.Item>
        </Accordion>
        {save.isError && (
          <Alert color="red" title="Not saved" role="alert">
            {save.error.message}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={done}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            {trunk ? "Save" : "Add trunk"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
