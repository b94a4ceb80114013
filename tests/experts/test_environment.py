"""The environment that these tests run in."""

from __future__ import annotations

import torch


def test_torch_computes() -> None:
    assert torch.equal(torch.ones(2) + 1, torch.full((2,), 2.0))


def test_doctor_tells_what_models_would_run_on() -> None:
    from sonic4d import doctor

    problems: list[str] = []
    report = doctor._experts(problems)
    assert report["torch"] == torch.__version__
    assert report["device"].startswith(("cpu", "cuda", "mps"))
    assert report["memory_gb"] > 0.5
    assert report["dtype"] in ("float32", "bfloat16", "float16")
    assert not problems
