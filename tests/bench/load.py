"""Requests against a web server on loopback: latencies of one client, and requests per second of eight."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A page: where it is and what is sent along; with a `body`, a write, each under a key of its own."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: str = ""


def get(target: Target, connection: http.client.HTTPConnection) -> float:
    """One request on a kept connection, read to the end; milliseconds. Raises unless the answer is 200 or 201."""
    headers, method = dict(target.headers), "GET"
    if target.body:
        headers, method = headers | {"Idempotency-Key": uuid.uuid4().hex}, "POST"
    begun = time.perf_counter()
    connection.request(method, target.path, target.body or None, headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status not in (200, 201):
        raise RuntimeError(f"{target.path}: {answer.status}")
    return (time.perf_counter() - begun) * 1000


def alternate(targets: list[Target], requests: int, warm: int = 15) -> list[list[float]]:
    """Latencies of each page with one client, the pages in turn, so that they meet the same weather."""
    connections = [http.client.HTTPConnection("127.0.0.1", target.port, timeout=120) for target in targets]
    found: list[list[float]] = [[] for _ in targets]
    for turn in range(warm + requests):
        for target, connection, times in zip(targets, connections, found, strict=True):
            taken = get(target, connection)
            if turn >= warm:
                times.append(taken)
    for connection in connections:
        connection.close()
    return found


def p50(times: list[float]) -> float:
    return statistics.median(times)


def p95(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.95) - 1)]


def per_second(target: Target, seconds: float = 4.0, clients: int = 8) -> float:
    """Requests per second with so many clients at once (threads of this process, so a lower bound)."""
    counts, until = [0] * clients, time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=120)
        while time.perf_counter() < until:
            get(target, connection)
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)
