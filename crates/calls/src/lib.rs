//! Pure call control: calls, flows, queues and the call records folded from events.
