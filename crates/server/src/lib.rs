//! The service: HTTP, WebSocket and the reference page over one engine.
