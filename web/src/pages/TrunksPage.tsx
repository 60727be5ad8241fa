import { Alert, Badge, Button, Drawer, Group, List, Menu, Modal, Stack, Table, Text, Title, VisuallyHidden } from "@mantine/core";
import { IconCheck, IconDots, IconX } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { change } from "../api/client";
import { meQuery, outgoingQuery, trunksQuery } from "../api/queries";
import type { Trunk, TrunkState, TrunkTest } from "../api/types";
import { OutgoingForm } from "../forms/OutgoingForm";
import { TrunkForm } from "../forms/TrunkForm";
import { Empty, ListState } from "../ui/ListState";
import { tones } from "../ui/tones";
import { instant } from "../util/format";

const STATES: Record<TrunkState, { label: string; color: string }> = {
  registered: { label: "Registered", color: tones.good },
  answering: { label: "Answering", color: tones.good },
  registering: { label: "Registering", color: tones.active },
  failing: { label: "Failing", color: tones.bad },
  unusable: { label: "Unusable", color: tones.bad },
  unknown: { label: "Not asked", color: tones.quiet },
  disabled: { label: "Not in use", color: tones.quiet },
};

type Open = { what: "add" } | { what: "edit" | "test" | "remove"; trunk: Trunk };

export function TrunksPage() {
  const { data: me } = useQuery(meQuery);
  const trunks = useQuery(trunksQuery);
  const outgoing = useQuery(outgoingQuery);
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const csrf = me?.csrf ?? "";

  return (
    <Stack gap="xl">
      <Stack>
        <Group justify="space-between" align="flex-end">
          <div>
            <Title order={1} size="h2">
              Trunks
            </Title>
            <Text c="dimmed">The carriers that bring calls in and take them out.</Text>
          </div>
          <Button onClick={() => setOpen({ what: "add" })}>Add trunk</Button>
        </Group>
        <ListState
          query={trunks}
          isEmpty={(data) => data.items.length === 0}
          empty={<Empty title="No trunks yet">Add the one your carrier gave you: a server, and a user name and password or the addresses it calls from.</Empty>}
        >
          {(data) => <TrunkTable trunks={data.items} zone={me?.timeZone ?? "UTC"} open={setOpen} />}
        </ListState>
      </Stack>
      {outgoing.data && <OutgoingForm outgoing={outgoing.data} trunks={trunks.data?.items ?? []} csrf={csrf} />}
      <Drawer opened={open?.what === "add" || open?.what === "edit"} onClose={close} position="right" size="lg" title={open?.what === "edit" ? `Trunk ${open.trunk.name}` : "New trunk"}>
        {open?.what === "add" && <TrunkForm csrf={csrf} done={close} />}
        {open?.what === "edit" && <TrunkForm trunk={open.trunk} csrf={csrf} done={close} />}
      </Drawer>
      <Modal opened={open?.what === "test"} onClose={close} title={open?.what === "test" ? `Test of ${open.trunk.name}` : ""} size="lg">
        {open?.what === "test" && <Test trunk={open.trunk} csrf={csrf} />}
      </Modal>
      <Modal opened={open?.what === "remove"} onClose={close} title={open?.what === "remove" ? `Remove ${open.trunk.name}?` : ""}>
        {open?.what === "remove" && <Remove trunk={open.trunk} csrf={csrf} done={close} />}
      </Modal>
    </Stack>
  );
}

function TrunkTable({ trunks, zone, open }: { trunks: Trunk[]; zone: string; open: (open: Open) => void }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Trunk</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Calls now</Table.Th>
            <Table.Th>Today</Table.Th>
            <Table.Th>Last change</Table.Th>
            <Table.Th>
              <VisuallyHidden>Actions</VisuallyHidden>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {trunks.map((trunk) => (
            <Table.Tr key={trunk.id}>
              <Table.Td>
                <Text size="sm" fw={550}>
                  {trunk.name}
                </Text>
                <Text size="xs" c="dimmed">
                  {trunk.settings.server}
                  {trunk.isShared && " · shared, changed by the operator"}
                </Text>
              </Table.Td>
              <Table.Td maw={360}>
                <Badge color={STATES[trunk.state].color}>{STATES[trunk.state].label}</Badge>
                <Text size="xs" c="dimmed" mt={4}>
                  {trunk.detail}
                </Text>
              </Table.Td>
              <Table.Td>{trunk.calls}</Table.Td>
              <Table.Td>
                {Math.floor(trunk.talkedMs / 60_000)} min
                {trunk.prices > 0 && ` · ${(trunk.spentMicros / 1_000_000).toFixed(2)}`}
              </Table.Td>
              <Table.Td>{trunk.events[0] ? instant(trunk.events[0].at, zone) : "–"}</Table.Td>
              <Table.Td>
                <Menu position="bottom-end" withinPortal>
                  <Menu.Target>
                    <Button variant="default" size="xs" px="xs" aria-label={`Actions for ${trunk.name}`}>
                      <IconDots size={16} aria-hidden />
                    </Button>
                  </Menu.Target>
                  <Menu.Dropdown>
                    <Menu.Item onClick={() => open({ what: "test", trunk })}>Test</Menu.Item>
                    <Menu.Item disabled={trunk.isShared} onClick={() => open({ what: "edit", trunk })}>
                      Edit
                    </Menu.Item>
                    <Menu.Item disabled={trunk.isShared} color="red" onClick={() => open({ what: "remove", trunk })}>
                      Remove
                    </Menu.Item>
                  </Menu.Dropdown>
                </Menu>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** Runs once when it is opened, and again on demand. */
function Test({ trunk, csrf }: { trunk: Trunk; csrf: string }) {
  const test = useQuery({
    queryKey: ["trunk-test", trunk.id],
    queryFn: () => change<TrunkTest>("POST", `/trunks/${trunk.id}/test`, csrf),
    staleTime: 0,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
  });
  return (
    <Stack>
      {test.isFetching && <Text role="status">Trying {trunk.settings.server} …</Text>}
      {test.isError && (
        <Alert color="red" title="The test did not run" role="alert">
          {test.error.message}
        </Alert>
      )}
      {!test.isFetching && test.data && (
        <>
          <List spacing="xs">
            {test.data.steps.map((step) => (
              <List.Item key={step.step} icon={step.ok ? <IconCheck size={18} aria-label="passed" /> : <IconX size={18} aria-label="failed" />}>
                <Text size="sm">
                  <b>{step.step}</b>: {step.found}
                </Text>
                {step.hint && (
                  <Text size="sm" c="dimmed">
                    {step.hint}
                  </Text>
                )}
              </List.Item>
            ))}
          </List>
          <Text fw={600}>{test.data.ok ? "It works." : "It does not work."}</Text>
        </>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={() => void test.refetch()} disabled={test.isFetching}>
          Test again
        </Button>
      </Group>
    </Stack>
  );
}

function Remove({ trunk, csrf, done }: { trunk: Trunk; csrf: string; done: () => void }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => change("DELETE", `/trunks/${trunk.id}`, csrf),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["trunks"] });
      done();
    },
  });
  return (
    <Stack>
      <Text>Calls no longer come in or go out through it. Calls that run now go on.</Text>
      {remove.isError && <Text c="red">{remove.error.message}</Text>}
      <Group justify="flex-end">
        <Button variant="default" onClick={done}>
          Cancel
        </Button>
        <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
          Remove
        </Button>
      </Group>
    </Stack>
  );
}
