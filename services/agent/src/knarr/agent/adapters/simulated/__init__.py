"""A cluster in memory behind the agent's ports: server-side apply with field ownership, watches, small controllers.

For the demo, scale benchmarks and fast tests. Light enough for a thousand in one process: objects are kept as bytes.
It passes the conformance suite that the real adapter passes. State lies in a folder, and can be edited from outside.
"""
