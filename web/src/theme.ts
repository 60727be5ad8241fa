import { Badge, createTheme } from "@mantine/core";

// The default theme misses the contrast that WCAG AA asks for; these shades keep it in light and dark.
export const theme = createTheme({
  primaryColor: "blue",
  autoContrast: true,
  luminanceThreshold: 0.25,
  primaryShade: { light: 8, dark: 7 },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  components: {
    Badge: Badge.extend({ defaultProps: { variant: "filled", radius: "sm", tt: "none" } }),
  },
});
