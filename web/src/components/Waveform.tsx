import { Box } from "@mantine/core";
import type { Peaks } from "../api/types";
import { duration } from "../util/format";

interface Props {
  peaks: Peaks;
  /** Seconds played so far. */
  position: number;
  label: string;
  onSeek: (seconds: number) => void;
}

const WIDTH = 400;
const HEIGHT = 40;

/** How loud a recording is over its length: the customer above the line, the agent below. A click or the arrow keys go there. */
export function Waveform({ peaks, position, label, onSeek }: Props) {
  const seconds = peaks.durationMs / 1000;
  const step = Math.max(1, Math.round(seconds / 20));
  const played = seconds > 0 ? (position / seconds) * WIDTH : 0;
  const seek = (to: number) => onSeek(Math.min(seconds, Math.max(0, to)));
  return (
    <Box
      component="svg"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={Math.round(seconds)}
      aria-valuenow={Math.round(position)}
      aria-valuetext={`${duration(position * 1000)} of ${duration(peaks.durationMs)}`}
      w="100%"
      h={HEIGHT}
      style={{ cursor: "pointer", display: "block" }}
      onClick={(event: React.MouseEvent<SVGSVGElement>) => {
        const box = event.currentTarget.getBoundingClientRect();
        seek(((event.clientX - box.left) / box.width) * seconds);
      }}
      onKeyDown={(event: React.KeyboardEvent<SVGSVGElement>) => {
        const to = { ArrowRight: position + step, ArrowLeft: position - step, Home: 0, End: seconds }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        seek(to);
      }}
    >
      <path d={outline(peaks)} fill="var(--mantine-color-dimmed)" opacity={0.55} />
      <clipPath id={`played-${label}`}>
        <rect x={0} y={0} width={played} height={HEIGHT} />
      </clipPath>
      <path d={outline(peaks)} fill="var(--mantine-primary-color-filled)" clipPath={`url(#played-${CSS.escape(label)})`} />
      <rect x={Math.max(0, played - 1)} y={0} width={2} height={HEIGHT} fill="var(--mantine-color-text)" />
    </Box>
  );
}

/** Loudness is drawn by its root, or a quiet voice would be a line. */
const tall = (peak: number, most: number) => Math.max(0.5, Math.sqrt(peak / 255) * most);

/** One bar for each stretch, up for the first channel and down for the last. */
export function outline({ channels }: Pick<Peaks, "channels">): string {
  const above = channels[0] ?? [];
  const below = channels.at(-1) ?? above;
  const width = WIDTH / Math.max(1, above.length);
  const half = HEIGHT / 2;
  return above
    .map((peak, at) => {
      const [up, down] = [tall(peak, half - 1), tall(below[at] ?? 0, half - 1)];
      const [x, y] = [(at * width).toFixed(2), (half - up).toFixed(2)];
      return `M${x} ${y}h${(width * 0.8).toFixed(2)}v${(up + down).toFixed(2)}h-${(width * 0.8).toFixed(2)}z`;
    })
    .join("");
}
