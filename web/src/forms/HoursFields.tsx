import { Group, MultiSelect, TextInput } from "@mantine/core";
import type { Hours } from "../api/types";

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"].map((label, index) => ({ value: String(index + 1), label }));

interface Props {
  /** Whose hours, for those who hear the form. */
  of: string;
  hours: Hours;
  onChange: (hours: Hours) => void;
}

/** Hours of the company's time zone, and the days on which they begin. */
export function HoursFields({ of, hours, onChange }: Props) {
  const time = (label: string, name: "from" | "to") => (
    <TextInput
      type="time"
      label={label}
      aria-label={`${of}: ${label}`}
      required
      w={140}
      value={hours[name].slice(0, 5)}
      onChange={(event) => {
        const { value } = event.currentTarget;
        if (value) onChange({ ...hours, [name]: `${value}:00` });
      }}
    />
  );
  return (
    <Group align="flex-end">
      {time("From", "from")}
      {time("To", "to")}
      <MultiSelect
        label="Days"
        aria-label={`${of}: Days`}
        flex={1}
        miw={220}
        placeholder={hours.days.length === 0 ? "Every day" : undefined}
        data={DAYS}
        value={hours.days.map(String)}
        onChange={(days) => onChange({ ...hours, days: days.map(Number).sort() })}
      />
    </Group>
  );
}
