//! The gateway's service: connections, actions, search, runs and the proxy.
