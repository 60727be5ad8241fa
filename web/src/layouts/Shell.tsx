import { AppShell, Box, Burger, Button, Group, NavLink, Stack, Text, ThemeIcon, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconHeadset, IconMicrophone, IconMusic, IconPhoneCall, IconPlugConnected, IconRocket, IconRouteAltLeft, IconRouter, IconUsersGroup } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { meQuery } from "../api/queries";
import type { Me } from "../api/types";
import { Stops } from "../components/Stops";
import { PhonePanel } from "../phone/PhonePanel";
import { Failure } from "../ui/ListState";

const PAGES = [
  { to: "/calls", label: "Calls", icon: IconPhoneCall },
  { to: "/agents", label: "Agents", icon: IconHeadset },
  { to: "/rooms", label: "Rooms", icon: IconUsersGroup },
  { to: "/recordings", label: "Recordings", icon: IconMicrophone },
  { to: "/sounds", label: "Sounds", icon: IconMusic },
  { to: "/trunks", label: "Trunks", icon: IconRouter },
  { to: "/connections", label: "Connections", icon: IconPlugConnected },
  { to: "/start", label: "Get started", icon: IconRocket },
] as const;

/** The frame around every page: where one is, where one can go, and who one is. */
export function Shell() {
  const [open, { toggle, close }] = useDisclosure(false);
  const { pathname } = useLocation();
  const me = useQuery(meQuery);
  const pages = PAGES.filter(({ to }) => {
    // What costs money or opens other apps is for those who manage the company.
    if (to === "/connections" || to === "/trunks") return me.data?.seesConnections !== false;
    if (to === "/recordings" || to === "/sounds") return me.data?.supervises === true;
    return true;
  });

  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 220, breakpoint: "sm", collapsed: { mobile: !open } }}
      padding="lg"
    >
      <AppShell.Header>
        <Group h="100%" px="md" gap="sm" wrap="nowrap">
          <Burger opened={open} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
          <UnstyledButton component={Link} to="/calls" aria-label="Trunkline, to the calls">
            <Group gap="xs" wrap="nowrap">
              <ThemeIcon radius="md">
                <IconRouteAltLeft size={18} aria-hidden />
              </ThemeIcon>
              <Text fw={650}>Trunkline</Text>
            </Group>
          </UnstyledButton>
          <Text c="dimmed" truncate flex={1}>
            {me.data?.company}
          </Text>
          {me.data && <PhonePanel me={me.data} />}
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" aria-label="Pages">
        <Box flex={1}>
          {pages.map(({ to, label, icon: Icon }) => (
            <NavLink
              key={to}
              component={Link}
              to={to}
              label={label}
              active={pathname === to}
              aria-current={pathname === to ? "page" : undefined}
              variant="light"
              leftSection={<Icon size={18} aria-hidden />}
              onClick={close}
            />
          ))}
        </Box>
        {me.data && <Person me={me.data} />}
      </AppShell.Navbar>
      <AppShell.Main>
        {me.data?.seesConnections && <Stops me={me.data} />}
        {me.isError ? <Failure error={me.error} retry={() => void me.refetch()} /> : me.data && <Outlet />}
      </AppShell.Main>
    </AppShell>
  );
}

function Person({ me }: { me: Me }) {
  return (
    <Stack gap="xs">
      <Box>
        <Text size="sm" fw={600} truncate>
          {me.name}
        </Text>
        <Text size="xs" c="dimmed" truncate title={me.email}>
          {me.email} · {me.role}
        </Text>
      </Box>
      <form method="post" action="/sign-out">
        <input type="hidden" name="csrf" value={me.csrf} />
        <Button type="submit" variant="default" size="xs" fullWidth>
          Sign out
        </Button>
      </form>
    </Stack>
  );
}
