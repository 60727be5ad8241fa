/** Badge colours with white text on them that can be read (WCAG AA, 4.5:1), the same in light and dark. */
export const tones = {
  good: "#237032",
  attention: "#a8400a",
  bad: "#b3261e",
  active: "#1860ad",
  aside: "#862e9c",
  quiet: "#4d555e",
} as const;
