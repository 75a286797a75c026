//! The only outgoing network: agents reached over HTTP, and another Afterplan server.
