"""What kwok is told: every fate has a stage, and no pod can be met by two of them at once."""

from __future__ import annotations

import json

from knarr.local.kube.stages import FATE_KEY, Fate, kwok_configuration


def _stages() -> dict[str, dict[str, object]]:
    documents = [json.loads(text) for text in kwok_configuration().split("---\n") if text.strip()]
    return {d["metadata"]["name"]: d for d in documents}


def test_every_fate_has_a_stage_of_its_own() -> None:
    assert {f"pod-{fate.value}" for fate in Fate} <= set(_stages())


def test_a_pod_without_a_fate_meets_none_of_the_others() -> None:
    text = json.dumps(_stages()["pod-ready"])
    assert FATE_KEY in text
    assert all(f'"{fate.value}"' in text for fate in Fate if fate is not Fate.READY)


def test_a_terminating_pod_is_only_deleted() -> None:
    for name, stage in _stages().items():
        if name.startswith("pod-") and name != "pod-delete":
            assert '"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"' in json.dumps(stage), name
