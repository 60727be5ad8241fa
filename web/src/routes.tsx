import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import type { CallFilters } from "./api/queries";
import { Shell } from "./layouts/Shell";

const rootRoute = createRootRoute({ component: Shell });

const indexRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/calls", replace: true });
  },
});

export const callsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/calls",
  component: lazyRouteComponent(() => import("./pages/CallsPage"), "CallsPage"),
  validateSearch: callFilters,
});

const agentsRoute = createRoute({ getParentRoute: () => rootRoute, path: "/agents", component: lazyRouteComponent(() => import("./pages/AgentsPage"), "AgentsPage") });
const connectionsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/connections",
  component: lazyRouteComponent(() => import("./pages/ConnectionsPage"), "ConnectionsPage"),
});
const trunksRoute = createRoute({ getParentRoute: () => rootRoute, path: "/trunks", component: lazyRouteComponent(() => import("./pages/TrunksPage"), "TrunksPage") });
const soundsRoute = createRoute({ getParentRoute: () => rootRoute, path: "/sounds", component: lazyRouteComponent(() => import("./pages/SoundsPage"), "SoundsPage") });
const recordingsRoute = createRoute({ getParentRoute: () => rootRoute, path: "/recordings", component: lazyRouteComponent(() => import("./pages/RecordingsPage"), "RecordingsPage") });
const roomsRoute = createRoute({ getParentRoute: () => rootRoute, path: "/rooms", component: lazyRouteComponent(() => import("./pages/RoomsPage"), "RoomsPage") });
const startRoute = createRoute({ getParentRoute: () => rootRoute, path: "/start", component: lazyRouteComponent(() => import("./pages/StartPage"), "StartPage") });

export const router = createRouter({
  routeTree: rootRoute.addChildren([indexRoute, callsRoute, agentsRoute, connectionsRoute, trunksRoute, roomsRoute, soundsRoute, recordingsRoute, startRoute]),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** What of an address counts as filters; anything else in it is dropped. */
function callFilters(search: Record<string, unknown>): CallFilters {
  const filters: CallFilters = {};
  const page = Number(search.page);
  if (Number.isInteger(page) && page > 1) filters.page = page;
  const { status, direction } = search;
  if (status === "answered" || status === "missed") filters.status = status;
  if (direction === "incoming" || direction === "outgoing" || direction === "internal") filters.direction = direction;
  return filters;
}
