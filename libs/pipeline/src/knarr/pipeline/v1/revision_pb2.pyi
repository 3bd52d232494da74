from knarr.pipeline.v1 import failure_pb2 as _failure_pb2
from knarr.pipeline.v1 import snapshot_pb2 as _snapshot_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AppOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APP_OUTCOME_UNSPECIFIED: _ClassVar[AppOutcome]
    APP_OUTCOME_REVISION: _ClassVar[AppOutcome]
    APP_OUTCOME_UNCHANGED: _ClassVar[AppOutcome]
    APP_OUTCOME_FAILED: _ClassVar[AppOutcome]
    APP_OUTCOME_GONE: _ClassVar[AppOutcome]
APP_OUTCOME_UNSPECIFIED: AppOutcome
APP_OUTCOME_REVISION: AppOutcome
APP_OUTCOME_UNCHANGED: AppOutcome
APP_OUTCOME_FAILED: AppOutcome
APP_OUTCOME_GONE: AppOutcome

class ClusterFacts(_message.Message):
    __slots__ = ("cluster", "cluster_uid", "kubernetes_version", "reported_labels", "capabilities", "enrolled_at_ms", "capabilities_known")
    class ReportedLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_UID_FIELD_NUMBER: _ClassVar[int]
    KUBERNETES_VERSION_FIELD_NUMBER: _ClassVar[int]
    REPORTED_LABELS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_KNOWN_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    cluster_uid: str
    kubernetes_version: str
    reported_labels: _containers.ScalarMap[str, str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    enrolled_at_ms: int
    capabilities_known: bool
    def __init__(self, cluster: _Optional[str] = ..., cluster_uid: _Optional[str] = ..., kubernetes_version: _Optional[str] = ..., reported_labels: _Optional[_Mapping[str, str]] = ..., capabilities: _Optional[_Iterable[str]] = ..., enrolled_at_ms: _Optional[int] = ..., capabilities_known: _Optional[bool] = ...) -> None: ...

class BundleRef(_message.Message):
    __slots__ = ("digest", "address", "plain_size", "sealed_size", "object_count", "chunk_count", "key_id")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PLAIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    SEALED_SIZE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    address: bytes
    plain_size: int
    sealed_size: int
    object_count: int
    chunk_count: int
    key_id: str
    def __init__(self, digest: _Optional[bytes] = ..., address: _Optional[bytes] = ..., plain_size: _Optional[int] = ..., sealed_size: _Optional[int] = ..., object_count: _Optional[int] = ..., chunk_count: _Optional[int] = ..., key_id: _Optional[str] = ...) -> None: ...

class IndexedObject(_message.Message):
    __slots__ = ("object_id", "content_digest", "protected", "stable_id", "hook")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROTECTED_FIELD_NUMBER: _ClassVar[int]
    STABLE_ID_FIELD_NUMBER: _ClassVar[int]
    HOOK_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    content_digest: bytes
    protected: bool
    stable_id: str
    hook: bool
    def __init__(self, object_id: _Optional[str] = ..., content_digest: _Optional[bytes] = ..., protected: _Optional[bool] = ..., stable_id: _Optional[str] = ..., hook: _Optional[bool] = ...) -> None: ...

class Index(_message.Message):
    __slots__ = ("digest", "objects")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    objects: _containers.RepeatedCompositeFieldContainer[IndexedObject]
    def __init__(self, digest: _Optional[bytes] = ..., objects: _Optional[_Iterable[_Union[IndexedObject, _Mapping]]] = ...) -> None: ...

class OriginEntry(_message.Message):
    __slots__ = ("object_id", "origin")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    origin: str
    def __init__(self, object_id: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...

class Variant(_message.Message):
    __slots__ = ("bundle", "clusters", "origins")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    bundle: BundleRef
    clusters: _containers.RepeatedScalarFieldContainer[str]
    origins: _containers.RepeatedCompositeFieldContainer[OriginEntry]
    def __init__(self, bundle: _Optional[_Union[BundleRef, _Mapping]] = ..., clusters: _Optional[_Iterable[str]] = ..., origins: _Optional[_Iterable[_Union[OriginEntry, _Mapping]]] = ...) -> None: ...

class RolloutOptions(_message.Message):
    __slots__ = ("policy", "policy_json", "guards_json", "depends_on")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    GUARDS_JSON_FIELD_NUMBER: _ClassVar[int]
    DEPENDS_ON_FIELD_NUMBER: _ClassVar[int]
    policy: str
    policy_json: bytes
    guards_json: bytes
    depends_on: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, policy: _Optional[str] = ..., policy_json: _Optional[bytes] = ..., guards_json: _Optional[bytes] = ..., depends_on: _Optional[_Iterable[str]] = ...) -> None: ...

class RevisionRendered(_message.Message):
    __slots__ = ("app", "revision", "commit", "fleet_commit", "facts_number", "facts_digest", "variants", "indexes", "options", "rendered_at_ms", "path")
    APP_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    FLEET_COMMIT_FIELD_NUMBER: _ClassVar[int]
    FACTS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FACTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    RENDERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    app: str
    revision: str
    commit: _snapshot_pb2.Commit
    fleet_commit: _snapshot_pb2.Commit
    facts_number: int
    facts_digest: bytes
    variants: _containers.RepeatedCompositeFieldContainer[Variant]
    indexes: _containers.RepeatedCompositeFieldContainer[Index]
    options: RolloutOptions
    rendered_at_ms: int
    path: str
    def __init__(self, app: _Optional[str] = ..., revision: _Optional[str] = ..., commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., fleet_commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., facts_number: _Optional[int] = ..., facts_digest: _Optional[bytes] = ..., variants: _Optional[_Iterable[_Union[Variant, _Mapping]]] = ..., indexes: _Optional[_Iterable[_Union[Index, _Mapping]]] = ..., options: _Optional[_Union[RolloutOptions, _Mapping]] = ..., rendered_at_ms: _Optional[int] = ..., path: _Optional[str] = ...) -> None: ...

class RenderFailed(_message.Message):
    __slots__ = ("app", "commit", "fleet_commit", "facts_number", "failures", "clusters", "clusters_known")
    APP_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    FLEET_COMMIT_FIELD_NUMBER: _ClassVar[int]
    FACTS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_KNOWN_FIELD_NUMBER: _ClassVar[int]
    app: str
    commit: _snapshot_pb2.Commit
    fleet_commit: _snapshot_pb2.Commit
    facts_number: int
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    clusters: _containers.RepeatedScalarFieldContainer[str]
    clusters_known: bool
    def __init__(self, app: _Optional[str] = ..., commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., fleet_commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., facts_number: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., clusters: _Optional[_Iterable[str]] = ..., clusters_known: _Optional[bool] = ...) -> None: ...

class RenderedApp(_message.Message):
    __slots__ = ("app", "outcome", "revision", "clusters", "failure_code", "source")
    APP_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_CODE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    app: str
    outcome: AppOutcome
    revision: str
    clusters: _containers.RepeatedScalarFieldContainer[str]
    failure_code: str
    source: str
    def __init__(self, app: _Optional[str] = ..., outcome: _Optional[_Union[AppOutcome, str]] = ..., revision: _Optional[str] = ..., clusters: _Optional[_Iterable[str]] = ..., failure_code: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class FleetCluster(_message.Message):
    __slots__ = ("name", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CommitRendered(_message.Message):
    __slots__ = ("commit", "fleet_commit", "facts_number", "apps", "clusters", "fleet_read", "source_read", "failures", "started_at_ms", "ended_at_ms", "renders", "cache_hits", "blobs_published", "untargeted_clusters", "guards_json")
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    FLEET_COMMIT_FIELD_NUMBER: _ClassVar[int]
    FACTS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    APPS_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    FLEET_READ_FIELD_NUMBER: _ClassVar[int]
    SOURCE_READ_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    RENDERS_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    BLOBS_PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    UNTARGETED_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    GUARDS_JSON_FIELD_NUMBER: _ClassVar[int]
    commit: _snapshot_pb2.Commit
    fleet_commit: _snapshot_pb2.Commit
    facts_number: int
    apps: _containers.RepeatedCompositeFieldContainer[RenderedApp]
    clusters: _containers.RepeatedCompositeFieldContainer[FleetCluster]
    fleet_read: bool
    source_read: bool
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    started_at_ms: int
    ended_at_ms: int
    renders: int
    cache_hits: int
    blobs_published: int
    untargeted_clusters: _containers.RepeatedScalarFieldContainer[str]
    guards_json: bytes
    def __init__(self, commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., fleet_commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., facts_number: _Optional[int] = ..., apps: _Optional[_Iterable[_Union[RenderedApp, _Mapping]]] = ..., clusters: _Optional[_Iterable[_Union[FleetCluster, _Mapping]]] = ..., fleet_read: _Optional[bool] = ..., source_read: _Optional[bool] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., started_at_ms: _Optional[int] = ..., ended_at_ms: _Optional[int] = ..., renders: _Optional[int] = ..., cache_hits: _Optional[int] = ..., blobs_published: _Optional[int] = ..., untargeted_clusters: _Optional[_Iterable[str]] = ..., guards_json: _Optional[bytes] = ...) -> None: ...
