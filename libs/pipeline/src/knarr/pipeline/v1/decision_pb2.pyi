from knarr.pipeline.v1 import failure_pb2 as _failure_pb2
from knarr.pipeline.v1 import snapshot_pb2 as _snapshot_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AppVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APP_VERDICT_UNSPECIFIED: _ClassVar[AppVerdict]
    APP_VERDICT_ASSIGNED: _ClassVar[AppVerdict]
    APP_VERDICT_HELD: _ClassVar[AppVerdict]
    APP_VERDICT_UNCHANGED: _ClassVar[AppVerdict]
    APP_VERDICT_FAILED: _ClassVar[AppVerdict]
    APP_VERDICT_REFUSED: _ClassVar[AppVerdict]
    APP_VERDICT_REMOVED: _ClassVar[AppVerdict]
    APP_VERDICT_DETACHED: _ClassVar[AppVerdict]

class CommandVerb(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_VERB_UNSPECIFIED: _ClassVar[CommandVerb]
    COMMAND_VERB_APPROVE: _ClassVar[CommandVerb]
    COMMAND_VERB_PLAN: _ClassVar[CommandVerb]
    COMMAND_VERB_ADOPT: _ClassVar[CommandVerb]
APP_VERDICT_UNSPECIFIED: AppVerdict
APP_VERDICT_ASSIGNED: AppVerdict
APP_VERDICT_HELD: AppVerdict
APP_VERDICT_UNCHANGED: AppVerdict
APP_VERDICT_FAILED: AppVerdict
APP_VERDICT_REFUSED: AppVerdict
APP_VERDICT_REMOVED: AppVerdict
APP_VERDICT_DETACHED: AppVerdict
COMMAND_VERB_UNSPECIFIED: CommandVerb
COMMAND_VERB_APPROVE: CommandVerb
COMMAND_VERB_PLAN: CommandVerb
COMMAND_VERB_ADOPT: CommandVerb

class Loss(_message.Message):
    __slots__ = ("clusters", "object_ids", "objects_before", "app_removed", "gone_before")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    APP_REMOVED_FIELD_NUMBER: _ClassVar[int]
    GONE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    clusters: _containers.RepeatedScalarFieldContainer[str]
    object_ids: _containers.RepeatedScalarFieldContainer[str]
    objects_before: int
    app_removed: bool
    gone_before: int
    def __init__(self, clusters: _Optional[_Iterable[str]] = ..., object_ids: _Optional[_Iterable[str]] = ..., objects_before: _Optional[int] = ..., app_removed: _Optional[bool] = ..., gone_before: _Optional[int] = ...) -> None: ...

class HeldReason(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class AppDecision(_message.Message):
    __slots__ = ("app", "verdict", "revision", "clusters", "reasons", "losses", "failures", "variants", "evidence", "waiting_clusters")
    APP_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    WAITING_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    app: str
    verdict: AppVerdict
    revision: str
    clusters: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedCompositeFieldContainer[HeldReason]
    losses: _containers.RepeatedCompositeFieldContainer[Loss]
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    variants: _containers.RepeatedCompositeFieldContainer[AssignedVariant]
    evidence: bytes
    waiting_clusters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, app: _Optional[str] = ..., verdict: _Optional[_Union[AppVerdict, str]] = ..., revision: _Optional[str] = ..., clusters: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[_Union[HeldReason, _Mapping]]] = ..., losses: _Optional[_Iterable[_Union[Loss, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., variants: _Optional[_Iterable[_Union[AssignedVariant, _Mapping]]] = ..., evidence: _Optional[bytes] = ..., waiting_clusters: _Optional[_Iterable[str]] = ...) -> None: ...

class AssignedVariant(_message.Message):
    __slots__ = ("digest", "object_count", "clusters")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OBJECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    object_count: int
    clusters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digest: _Optional[bytes] = ..., object_count: _Optional[int] = ..., clusters: _Optional[_Iterable[str]] = ...) -> None: ...

class AssignedGeneration(_message.Message):
    __slots__ = ("cluster", "generation")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    generation: int
    def __init__(self, cluster: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class RolloutDecided(_message.Message):
    __slots__ = ("number", "epoch", "commit", "fleet_commit", "apps", "assignments", "decided_at_ms", "command_id", "clusters", "detached_clusters", "unenrolled_clusters", "failures", "traceparent", "notices", "actor", "reason")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    FLEET_COMMIT_FIELD_NUMBER: _ClassVar[int]
    APPS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    DETACHED_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    UNENROLLED_CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    number: int
    epoch: str
    commit: _snapshot_pb2.Commit
    fleet_commit: _snapshot_pb2.Commit
    apps: _containers.RepeatedCompositeFieldContainer[AppDecision]
    assignments: _containers.RepeatedCompositeFieldContainer[AssignedGeneration]
    decided_at_ms: int
    command_id: str
    clusters: _containers.RepeatedScalarFieldContainer[str]
    detached_clusters: _containers.RepeatedScalarFieldContainer[str]
    unenrolled_clusters: _containers.RepeatedScalarFieldContainer[str]
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    traceparent: str
    notices: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    actor: str
    reason: str
    def __init__(self, number: _Optional[int] = ..., epoch: _Optional[str] = ..., commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., fleet_commit: _Optional[_Union[_snapshot_pb2.Commit, _Mapping]] = ..., apps: _Optional[_Iterable[_Union[AppDecision, _Mapping]]] = ..., assignments: _Optional[_Iterable[_Union[AssignedGeneration, _Mapping]]] = ..., decided_at_ms: _Optional[int] = ..., command_id: _Optional[str] = ..., clusters: _Optional[_Iterable[str]] = ..., detached_clusters: _Optional[_Iterable[str]] = ..., unenrolled_clusters: _Optional[_Iterable[str]] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., traceparent: _Optional[str] = ..., notices: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("command_id", "verb", "revision", "cluster", "app", "actor", "reason", "asked_at_ms", "evidence")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ASKED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    verb: CommandVerb
    revision: str
    cluster: str
    app: str
    actor: str
    reason: str
    asked_at_ms: int
    evidence: bytes
    def __init__(self, command_id: _Optional[str] = ..., verb: _Optional[_Union[CommandVerb, str]] = ..., revision: _Optional[str] = ..., cluster: _Optional[str] = ..., app: _Optional[str] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., asked_at_ms: _Optional[int] = ..., evidence: _Optional[bytes] = ...) -> None: ...

class CommandHandled(_message.Message):
    __slots__ = ("command_id", "accepted", "failure", "handled_at_ms")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    HANDLED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    accepted: bool
    failure: _failure_pb2.Failure
    handled_at_ms: int
    def __init__(self, command_id: _Optional[str] = ..., accepted: _Optional[bool] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., handled_at_ms: _Optional[int] = ...) -> None: ...

class EventRecorded(_message.Message):
    __slots__ = ("event_id", "kind", "cluster", "app", "message", "code", "at_ms", "revision")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    kind: str
    cluster: str
    app: str
    message: str
    code: str
    at_ms: int
    revision: str
    def __init__(self, event_id: _Optional[str] = ..., kind: _Optional[str] = ..., cluster: _Optional[str] = ..., app: _Optional[str] = ..., message: _Optional[str] = ..., code: _Optional[str] = ..., at_ms: _Optional[int] = ..., revision: _Optional[str] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("subject", "stream", "sequence", "service", "failure", "payload", "at_ms")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    subject: str
    stream: str
    sequence: int
    service: str
    failure: _failure_pb2.Failure
    payload: bytes
    at_ms: int
    def __init__(self, subject: _Optional[str] = ..., stream: _Optional[str] = ..., sequence: _Optional[int] = ..., service: _Optional[str] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., payload: _Optional[bytes] = ..., at_ms: _Optional[int] = ...) -> None: ...
