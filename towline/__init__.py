"""The domain: policies, dialects and audit as pure functions; registries over HTTP."""
