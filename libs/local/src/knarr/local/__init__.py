"""Starts and stops real NATS, PostgreSQL, Git hosts, Kubernetes and Jaeger on this machine.

Called by tests, the demo and `knarr up`. Every server owns its processes and a state folder given by its caller,
listens on loopback only, is ready when its own health endpoint says so, and is gone when its context ends. What a
server is used for is left to the caller.
"""
