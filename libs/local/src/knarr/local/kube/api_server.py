"""One kube-apiserver on loopback. Owned by `cluster`, which adds what makes pods run."""

from __future__ import annotations

from pathlib import Path

from knarr.local.health import answers_ok
from knarr.local.kube.identity import Identity, write_kubeconfig
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess


class ApiServer:
    """A kube-apiserver with RBAC, service accounts and one static administrator, on one port for its whole life."""

    def __init__(
        self, program: Path, name: str, state_dir: Path, identity: Identity, etcd_url: str, *, pods: bool
    ) -> None:
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        self._name, self._identity = name, identity
        argv = [
            str(program),
            f"--etcd-servers={etcd_url}",
            f"--etcd-prefix=/knarr/{name}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--cert-dir={identity.certificate_folder}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={identity.signing_key_file}",
            f"--service-account-key-file={identity.signing_key_file}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={identity.token_file}",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            "--allow-privileged=true",
            "--v=0",
        ]
        if not pods:
            # Nothing here makes the default service account of a namespace, without which no pod would be admitted.
            argv.append("--disable-admission-plugins=ServiceAccount")
        self.process = OwnedProcess(Command(name="kube-apiserver", argv=tuple(argv)), state_dir)

    async def start(self) -> None:
        """Start it, wait for /readyz, and write the kubeconfig once its certificate is there."""
        await self.process.start(self._ready, deadline_seconds=90.0)
        write_kubeconfig(self._identity, name=self._name, url=self.url)

    async def _ready(self) -> bool:
        # The first namespaces come a moment after /readyz: a cluster's identity is the uid of kube-system.
        for path in ("/readyz", "/api/v1/namespaces/kube-system", "/api/v1/namespaces/default"):
            identity = self._identity
            if not await answers_ok(self.url + path, ca_file=identity.ca_file, token=identity.admin_token):
                return False
        return True
