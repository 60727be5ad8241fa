import { Badge, type CSSVariablesResolver, createTheme, Drawer, Modal, SegmentedControl } from "@mantine/core";

// The default theme misses the contrast that WCAG AA asks for; these shades keep it in light and dark.
export const theme = createTheme({
  primaryColor: "blue",
  autoContrast: true,
  luminanceThreshold: 0.25,
  primaryShade: 8,
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  components: {
    Badge: Badge.extend({ defaultProps: { variant: "filled", radius: "sm", tt: "none", miw: "max-content" } }),
    // Their heads are headers of a dialog, not of the page, which has one of its own.
    Drawer: Drawer.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" }, attributes: { header: { role: "presentation" } } } }),
    Modal: Modal.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" }, attributes: { header: { role: "presentation" } } } }),
    // While its mark slides, a label can't be read on what is below it.
    SegmentedControl: SegmentedControl.extend({ defaultProps: { transitionDuration: 0 } }),
  },
});

/** The library's dimmed and red texts miss that contrast as well. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "var(--mantine-color-gray-7)",
    "--mantine-color-red-text": "var(--mantine-color-red-9)",
    "--mantine-color-error": "var(--mantine-color-red-9)",
  },
  dark: { "--mantine-color-dimmed": "var(--mantine-color-dark-1)", "--mantine-color-red-text": "var(--mantine-color-red-4)" },
});
