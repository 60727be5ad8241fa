import { NumberInput, type NumberInputProps } from "@mantine/core";

interface Props extends Omit<NumberInputProps, "value" | "onChange"> {
  label: string;
  /** In millionths of the currency; null is none. */
  micros: number | null;
  onMicros: (micros: number | null) => void;
}

/** An amount in the currency of the price lists. */
export function MoneyInput({ micros, onMicros, ...more }: Props) {
  return (
    <NumberInput
      min={0}
      decimalScale={6}
      {...more}
      value={micros === null ? "" : micros / 1_000_000}
      onChange={(value) => onMicros(typeof value === "number" ? Math.round(value * 1_000_000) : null)}
    />
  );
}
