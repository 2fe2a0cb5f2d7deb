"""How much memory there is: the machine's, a container's, a service's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference.machine import available

GIB = 2**30
TOTAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of which 1 GiB is free, and nothing limits it."""
    put(tmp_path / "proc/meminfo", f"MemTotal: {TOTAL // 1024} kB\nMemAvailable: {GIB // 1024} kB\n")
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_this_machine_has_some() -> None:
    total, free = available()
    assert 0 < free <= total <= TOTAL


def test_without_limits_it_is_what_the_machine_says(root: Path) -> None:
    assert available(root) == (TOTAL, GIB)
    # An older kernel, or none of Linux.
    put(root / "proc/meminfo", "MemTotal: 1 kB\n")
    assert available(root) == (TOTAL, TOTAL)
    (root / "proc/meminfo").unlink()
    assert available(root) == (TOTAL, TOTAL)


def test_a_container_counts_and_files_that_were_read_do_not(root: Path) -> None:
    put(root / "proc/self/cgroup", "0::/\n")
    group = root / "sys/fs/cgroup"
    put(group / "memory.max", f"{GIB // 2}\n")
    put(group / "memory.current", f"{GIB // 4}\n")
    put(group / "memory.stat", f"anon {GIB // 8}\ninactive_file {GIB // 8}\n")
    assert available(root) == (GIB // 2, GIB * 3 // 8)


def test_a_service_is_limited_by_its_own_group_and_those_above(root: Path) -> None:
    put(root / "proc/self/cgroup", "0::/system.slice/ensemble.service\n")
    service = root / "sys/fs/cgroup/system.slice/ensemble.service"
    put(service / "memory.max", "max\n")
    put(service.parent / "memory.max", f"{GIB // 2}\n")
    put(service.parent / "memory.current", "0\n")
    assert available(root) == (GIB // 2, GIB // 2)
    put(service / "memory.max", f"{GIB // 4}\n")
    put(service / "memory.current", f"{GIB // 4}\n")
    assert available(root) == (GIB // 4, 0)


@pytest.mark.parametrize("shown", ["docker/abc", ""])
def test_the_first_version_of_control_groups_counts_too(root: Path, shown: str) -> None:
    """Within a container its own group may stand at the top."""
    put(root / "proc/self/cgroup", "4:memory:/docker/abc\n3:cpuset:/\n0::/\n")
    group = root / "sys/fs/cgroup/memory" / shown
    put(group / "memory.limit_in_bytes", f"{GIB // 2}\n")
    put(group / "memory.usage_in_bytes", f"{GIB // 2}\n")
    put(group / "memory.stat", f"total_inactive_file {GIB // 4}\n")
    assert available(root) == (GIB // 2, GIB // 4)
