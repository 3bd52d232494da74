"""The real cluster: kubernetes_asyncio for configuration and session, raw JSON for everything else (docs/adr/0005)."""
