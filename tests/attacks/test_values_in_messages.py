"""Secret values in what Helm, kustomize and the sandbox say, and so in events, tables and the API."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.streams import REVISIONS
from knarr.messaging.subjects import revision_failed_subject
from knarr.pipeline.codec import encode
from knarr.pipeline.revision import RenderFailed
from services.renderer.tests.hub import FLEET, Hub, cluster, hub

APP = "apiVersion: knarr.dev/v1\nkind: App\n"
PASSWORD, FILED, DEFAULT = "correct horse battery 7", "hunter2-of-the-file", "canary0default"
APP_WITH_VALUES = f"{APP}helm:\n  values: {{db: {{password: {PASSWORD}}}}}\n  valuesFiles: [own.yaml]\n"
SCHEMA = """{"properties": {"db": {"properties": {"password": {"pattern": "^[0-9]+$"}}},
"token": {"enum": ["only this"]}, "key": {"type": "integer"}}}"""


def chart(template: str, schema: str = "") -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        "web/knarr.yaml": APP_WITH_VALUES,
        "web/own.yaml": f"token: {FILED}\n",
        "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "web/values.yaml": f"key: {DEFAULT}\n",
        "web/templates/a.yaml": template,
    }
    return files | ({"web/values.schema.json": schema} if schema else {})


@pytest.fixture
async def running(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Hub]:
    async with hub(nats_server, tmp_path / "state") as value:
        yield value


@pytest.mark.parametrize(
    ("files", "legible"),
    [
        (chart("", SCHEMA), "does not match pattern '^[0-9]+$'"),
        (chart("{{ fail (printf \"password %s is weak\" .Values.db.password) }}"), "is weak"),
        (chart("{{ fail (printf \"%s\" (.Values.token | b64enc)) }}"), "helm"),
        (chart("{{ fail (printf \"%q\" .Values) }}"), "helm"),
        (chart("{{ fail (.Values.token | upper) }}"), "helm"),
        (chart("{{ fail (printf \"template: web/%s:1\" .Values.key) }}"), "helm"),
        (chart("{{ range .Values.key }}{{ end }}{{ .Values.token.deeper }}"), "range can't iterate over"),
        (chart("a: *{{ .Values.token }}"), "alias"),
    ],
    ids=["schema", "fail", "base64", "all", "upper", "as-a-place", "wrong-type", "output"],
)  # fmt: skip
async def test_a_chart_quotes_its_values(running: Hub, files: dict[str, str | bytes], legible: str) -> None:
    """None of them is in what is told, in no form; the rest of the message is."""
    rendered = await running.closed(
        await running.commit({**files, "fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1")})
    )
    assert rendered.apps[0].failure_code.startswith("KNR2")
    found = await running.broker.newest(REVISIONS, revision_failed_subject("web"), RenderFailed)
    assert found is not None
    told = (encode(found.value) + encode(rendered)).lower()
    for secret in (PASSWORD, FILED, DEFAULT):
        for form in (secret, base64.b64encode(secret.encode()).decode()[:-4]):
            assert form.lower().encode() not in told
    assert legible in " ".join(f.message for f in found.value.failures)
