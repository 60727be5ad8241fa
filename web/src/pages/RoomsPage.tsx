import { ActionIcon, Button, Code, Group, Modal, Stack, Table, Text, Title } from "@mantine/core";
import { IconPencil, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "../api/client";
import { meQuery, roomsQuery } from "../api/queries";
import type { Room } from "../api/types";
import { RoomForm } from "../forms/RoomForm";
import { Empty, ListState } from "../ui/ListState";

type Open = { what: "add" } | { what: "edit" | "remove"; room: Room };

/** Conference rooms: what to dial for them, and who may come in. */
export function RoomsPage() {
  const { data: me } = useQuery(meQuery);
  const rooms = useQuery(roomsQuery);
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const manages = me?.manages ?? false;
  const taken = rooms.data?.items.map(({ extension }) => extension) ?? [];

  return (
    <Stack>
      <Group justify="space-between" align="flex-end">
        <div>
          <Title order={1} size="h2">
            Rooms
          </Title>
          <Text c="dimmed">Everybody who dials a room hears everybody else in it. Numbers and call flows can lead there too.</Text>
        </div>
        {manages && <Button onClick={() => setOpen({ what: "add" })}>Add room</Button>}
      </Group>
      <ListState
        query={rooms}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="No rooms yet">A room has an extension that phones dial after *5: room 7 is *57. {manages ? "Add the first one." : "Your administrator can add one."}</Empty>}
      >
        {(data) => <RoomTable rooms={data.items} manages={manages} open={setOpen} />}
      </ListState>
      <Modal opened={open?.what === "add"} onClose={close} title="New room">
        {open?.what === "add" && <RoomForm taken={taken} done={close} />}
      </Modal>
      <Modal opened={open?.what === "edit"} onClose={close} title={open?.what === "edit" ? `Room ${open.room.name}` : ""}>
        {open?.what === "edit" && <RoomForm room={open.room} taken={taken} done={close} />}
      </Modal>
      <Modal opened={open?.what === "remove"} onClose={close} title={open?.what === "remove" ? `Remove ${open.room.name}?` : ""}>
        {open?.what === "remove" && <Remove room={open.room} done={close} />}
      </Modal>
    </Stack>
  );
}

function RoomTable({ rooms, manages, open }: { rooms: Room[]; manages: boolean; open: (open: Open) => void }) {
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Room</Table.Th>
            <Table.Th>Dial</Table.Th>
            <Table.Th>PIN</Table.Th>
            <Table.Th>In it now</Table.Th>
            {manages && <Table.Th>Actions</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rooms.map((room) => (
            <Table.Tr key={room.id}>
              <Table.Td>
                <Text size="sm" fw={550}>
                  {room.name}
                </Text>
              </Table.Td>
              <Table.Td>
                <Code>{room.dial}</Code>
              </Table.Td>
              <Table.Td>{room.pin ? <Code>{room.pin}</Code> : <Text c="dimmed">{room.hasPin ? "Asked for" : "None"}</Text>}</Table.Td>
              <Table.Td>{room.participants}</Table.Td>
              {manages && (
                <Table.Td>
                  <Group gap="xs" wrap="nowrap">
                    <ActionIcon variant="default" size="lg" onClick={() => open({ what: "edit", room })} aria-label={`Edit ${room.name}`}>
                      <IconPencil size={16} aria-hidden />
                    </ActionIcon>
                    <ActionIcon variant="default" size="lg" onClick={() => open({ what: "remove", room })} aria-label={`Remove ${room.name}`}>
                      <IconTrash size={16} aria-hidden />
                    </ActionIcon>
                  </Group>
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Remove({ room, done }: { room: Room; done: () => void }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => write("DELETE", `/rooms/${room.id}`),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["rooms"] });
      done();
    },
  });
  return (
    <Stack>
      <Text size="sm">{room.dial} leads nowhere then, and neither do numbers and call flows that lead to this room.</Text>
      {remove.isError && (
        <Text size="sm" c="red" role="alert">
          {remove.error.message}
        </Text>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={done}>
          Keep it
        </Button>
        <Button color="red" loading={remove.isPending} onClick={() => remove.mutate()}>
          Remove
        </Button>
      </Group>
    </Stack>
  );
}
