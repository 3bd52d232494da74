"""Ports that are given out are free and given once."""

from __future__ import annotations

import socket

from knarr.local.ports import free_port


def test_no_port_is_given_twice_and_each_can_be_bound() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
