import { Button, Group, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { write } from "../api/client";
import type { Room } from "../api/types";

/** A new room, or what is to change of one; `taken` are the extensions of all. */
export function RoomForm({ room, taken, done }: { room?: Room; taken: number[]; done: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(room?.name ?? "");
  const [extension, setExtension] = useState(room?.extension ?? firstFree(taken));
  const [pin, setPin] = useState(room?.pin ?? "");
  const save = useMutation({
    mutationFn: () => {
      const wanted = { name, extension, pin };
      return room ? write("PUT", `/rooms/${room.id}`, wanted) : write("POST", "/rooms", wanted);
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["rooms"] });
      done();
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack>
        <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
        <NumberInput
          label="Extension"
          description={`Phones dial *5${extension}`}
          value={extension}
          onChange={(value) => setExtension(Number(value))}
          min={1}
          allowDecimal={false}
          allowNegative={false}
        />
        <TextInput label="PIN" description="4 to 10 digits that are asked for on entering; empty for none" value={pin} onChange={(event) => setPin(event.currentTarget.value)} inputMode="numeric" autoComplete="off" />
        {save.isError && (
          <Text size="sm" c="red" role="alert">
            {save.error.message}
          </Text>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={done}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending} disabled={name.trim() === ""}>
            {room ? "Save" : "Add room"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function firstFree(taken: number[]): number {
  let extension = 1;
  while (taken.includes(extension)) extension += 1;
  return extension;
}
