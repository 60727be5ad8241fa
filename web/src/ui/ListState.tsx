import { Alert, Button, Center, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

interface Props<T> {
  query: UseQueryResult<T>;
  isEmpty: (data: T) => boolean;
  empty: ReactNode;
  children: (data: T) => ReactNode;
}

/** The four states of every list: loading, failed, empty, there. */
export function ListState<T>({ query, isEmpty, empty, children }: Props<T>) {
  if (query.isPending) return <Loading />;
  if (query.isError && query.data === undefined) {
    return <Failure error={query.error} retry={() => void query.refetch()} />;
  }
  if (query.data === undefined) return null;
  return (
    <>
      {query.isError && <Failure error={query.error} retry={() => void query.refetch()} />}
      {isEmpty(query.data) ? empty : children(query.data)}
    </>
  );
}

function Loading() {
  return (
    <Stack gap="sm" role="status" aria-label="Loading">
      {[1, 2, 3, 4, 5].map((row) => (
        <Skeleton key={row} height={40} />
      ))}
    </Stack>
  );
}

export function Failure({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <Alert color="red" variant="outline" title="This could not be loaded" icon={<IconAlertTriangle aria-hidden />} mb="md">
      <Stack align="flex-start" gap="sm">
        <Text size="sm">{error.message}</Text>
        <Button size="xs" variant="default" onClick={retry}>
          Try again
        </Button>
      </Stack>
    </Alert>
  );
}

export function Empty({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Center mih={220}>
      <Stack align="center" gap="xs" maw={420} ta="center">
        <Title order={2} size="h4">
          {title}
        </Title>
        <Text component="div" c="dimmed">
          {children}
        </Text>
      </Stack>
    </Center>
  );
}
