from knarr.pipeline.v1 import failure_pb2 as _failure_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AppState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APP_STATE_UNSPECIFIED: _ClassVar[AppState]
    APP_STATE_WAITING: _ClassVar[AppState]
    APP_STATE_PROGRESSING: _ClassVar[AppState]
    APP_STATE_HEALTHY: _ClassVar[AppState]
    APP_STATE_DEGRADED: _ClassVar[AppState]
    APP_STATE_FAILED: _ClassVar[AppState]
    APP_STATE_HELD: _ClassVar[AppState]
    APP_STATE_DRIFTED: _ClassVar[AppState]
    APP_STATE_REMOVED: _ClassVar[AppState]

class AdoptionOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADOPTION_OUTCOME_UNSPECIFIED: _ClassVar[AdoptionOutcome]
    ADOPTION_OUTCOME_ADOPTED: _ClassVar[AdoptionOutcome]
    ADOPTION_OUTCOME_REFUSED: _ClassVar[AdoptionOutcome]

class StepAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_ACTION_UNSPECIFIED: _ClassVar[StepAction]
    STEP_ACTION_CREATE: _ClassVar[StepAction]
    STEP_ACTION_CONFIGURE: _ClassVar[StepAction]
    STEP_ACTION_UNCHANGED: _ClassVar[StepAction]
    STEP_ACTION_ADOPT: _ClassVar[StepAction]
    STEP_ACTION_WAIT: _ClassVar[StepAction]
    STEP_ACTION_HOOK: _ClassVar[StepAction]
    STEP_ACTION_PRUNE: _ClassVar[StepAction]
    STEP_ACTION_SKIP: _ClassVar[StepAction]
    STEP_ACTION_RECREATE: _ClassVar[StepAction]
APP_STATE_UNSPECIFIED: AppState
APP_STATE_WAITING: AppState
APP_STATE_PROGRESSING: AppState
APP_STATE_HEALTHY: AppState
APP_STATE_DEGRADED: AppState
APP_STATE_FAILED: AppState
APP_STATE_HELD: AppState
APP_STATE_DRIFTED: AppState
APP_STATE_REMOVED: AppState
ADOPTION_OUTCOME_UNSPECIFIED: AdoptionOutcome
ADOPTION_OUTCOME_ADOPTED: AdoptionOutcome
ADOPTION_OUTCOME_REFUSED: AdoptionOutcome
STEP_ACTION_UNSPECIFIED: StepAction
STEP_ACTION_CREATE: StepAction
STEP_ACTION_CONFIGURE: StepAction
STEP_ACTION_UNCHANGED: StepAction
STEP_ACTION_ADOPT: StepAction
STEP_ACTION_WAIT: StepAction
STEP_ACTION_HOOK: StepAction
STEP_ACTION_PRUNE: StepAction
STEP_ACTION_SKIP: StepAction
STEP_ACTION_RECREATE: StepAction

class Transition(_message.Message):
    __slots__ = ("state", "at_ms", "digest", "generation", "reason")
    STATE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    state: AppState
    at_ms: int
    digest: bytes
    generation: int
    reason: str
    def __init__(self, state: _Optional[_Union[AppState, str]] = ..., at_ms: _Optional[int] = ..., digest: _Optional[bytes] = ..., generation: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ObjectHealth(_message.Message):
    __slots__ = ("object_id", "status", "message")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    status: str
    message: str
    def __init__(self, object_id: _Optional[str] = ..., status: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Adoption(_message.Message):
    __slots__ = ("object_id", "outcome", "differences", "previous_manager")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_MANAGER_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    outcome: AdoptionOutcome
    differences: _containers.RepeatedScalarFieldContainer[str]
    previous_manager: str
    def __init__(self, object_id: _Optional[str] = ..., outcome: _Optional[_Union[AdoptionOutcome, str]] = ..., differences: _Optional[_Iterable[str]] = ..., previous_manager: _Optional[str] = ...) -> None: ...

class DriftEntry(_message.Message):
    __slots__ = ("object_id", "manager", "paths", "at_ms", "healed", "deleted", "fight")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    MANAGER_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    HEALED_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    FIGHT_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    manager: str
    paths: _containers.RepeatedScalarFieldContainer[str]
    at_ms: int
    healed: bool
    deleted: bool
    fight: bool
    def __init__(self, object_id: _Optional[str] = ..., manager: _Optional[str] = ..., paths: _Optional[_Iterable[str]] = ..., at_ms: _Optional[int] = ..., healed: _Optional[bool] = ..., deleted: _Optional[bool] = ..., fight: _Optional[bool] = ...) -> None: ...

class Counts(_message.Message):
    __slots__ = ("created", "configured", "unchanged", "adopted", "pruned", "skipped", "failed")
    CREATED_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    ADOPTED_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    created: int
    configured: int
    unchanged: int
    adopted: int
    pruned: int
    skipped: int
    failed: int
    def __init__(self, created: _Optional[int] = ..., configured: _Optional[int] = ..., unchanged: _Optional[int] = ..., adopted: _Optional[int] = ..., pruned: _Optional[int] = ..., skipped: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class AppReport(_message.Message):
    __slots__ = ("cluster", "app", "state", "digest", "generation", "since_ms", "failures", "transitions", "counts", "unhealthy", "adoptions", "drift", "epoch", "message", "applied_at_ms", "object_count", "held_digests", "traceparent")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    TRANSITIONS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    UNHEALTHY_FIELD_NUMBER: _ClassVar[int]
    ADOPTIONS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    HELD_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    app: str
    state: AppState
    digest: bytes
    generation: int
    since_ms: int
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    transitions: _containers.RepeatedCompositeFieldContainer[Transition]
    counts: Counts
    unhealthy: _containers.RepeatedCompositeFieldContainer[ObjectHealth]
    adoptions: _containers.RepeatedCompositeFieldContainer[Adoption]
    drift: _containers.RepeatedCompositeFieldContainer[DriftEntry]
    epoch: str
    message: str
    applied_at_ms: int
    object_count: int
    held_digests: _containers.RepeatedScalarFieldContainer[bytes]
    traceparent: str
    def __init__(self, cluster: _Optional[str] = ..., app: _Optional[str] = ..., state: _Optional[_Union[AppState, str]] = ..., digest: _Optional[bytes] = ..., generation: _Optional[int] = ..., since_ms: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., transitions: _Optional[_Iterable[_Union[Transition, _Mapping]]] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., unhealthy: _Optional[_Iterable[_Union[ObjectHealth, _Mapping]]] = ..., adoptions: _Optional[_Iterable[_Union[Adoption, _Mapping]]] = ..., drift: _Optional[_Iterable[_Union[DriftEntry, _Mapping]]] = ..., epoch: _Optional[str] = ..., message: _Optional[str] = ..., applied_at_ms: _Optional[int] = ..., object_count: _Optional[int] = ..., held_digests: _Optional[_Iterable[bytes]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class AppDigest(_message.Message):
    __slots__ = ("app", "digest", "state")
    APP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    app: str
    digest: bytes
    state: AppState
    def __init__(self, app: _Optional[str] = ..., digest: _Optional[bytes] = ..., state: _Optional[_Union[AppState, str]] = ...) -> None: ...

class ClusterReport(_message.Message):
    __slots__ = ("cluster", "epoch", "cluster_uid", "generation_seen", "generation_applied", "agent_version", "start_number", "kubernetes_version", "sealing_public_key", "signing_public_key", "state_digest", "reported_at_ms", "labels", "capabilities", "failures", "app_count", "features", "fetches", "state_writes", "capabilities_known", "sealing_key_signature")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_SEEN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_APPLIED_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    START_NUMBER_FIELD_NUMBER: _ClassVar[int]
    KUBERNETES_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEALING_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNING_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REPORTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    APP_COUNT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FETCHES_FIELD_NUMBER: _ClassVar[int]
    STATE_WRITES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_KNOWN_FIELD_NUMBER: _ClassVar[int]
    SEALING_KEY_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    epoch: str
    cluster_uid: str
    generation_seen: int
    generation_applied: int
    agent_version: str
    start_number: int
    kubernetes_version: str
    sealing_public_key: bytes
    signing_public_key: bytes
    state_digest: bytes
    reported_at_ms: int
    labels: _containers.ScalarMap[str, str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    app_count: int
    features: _containers.RepeatedScalarFieldContainer[str]
    fetches: int
    state_writes: int
    capabilities_known: bool
    sealing_key_signature: bytes
    def __init__(self, cluster: _Optional[str] = ..., epoch: _Optional[str] = ..., cluster_uid: _Optional[str] = ..., generation_seen: _Optional[int] = ..., generation_applied: _Optional[int] = ..., agent_version: _Optional[str] = ..., start_number: _Optional[int] = ..., kubernetes_version: _Optional[str] = ..., sealing_public_key: _Optional[bytes] = ..., signing_public_key: _Optional[bytes] = ..., state_digest: _Optional[bytes] = ..., reported_at_ms: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., capabilities: _Optional[_Iterable[str]] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., app_count: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., fetches: _Optional[int] = ..., state_writes: _Optional[int] = ..., capabilities_known: _Optional[bool] = ..., sealing_key_signature: _Optional[bytes] = ...) -> None: ...

class PlannedStep(_message.Message):
    __slots__ = ("action", "object_id", "stage", "reason", "differences")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    action: StepAction
    object_id: str
    stage: int
    reason: str
    differences: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, action: _Optional[_Union[StepAction, str]] = ..., object_id: _Optional[str] = ..., stage: _Optional[int] = ..., reason: _Optional[str] = ..., differences: _Optional[_Iterable[str]] = ...) -> None: ...

class PlanReport(_message.Message):
    __slots__ = ("cluster", "request_id", "app", "digest", "steps", "failures", "answered_at_ms")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    request_id: str
    app: str
    digest: bytes
    steps: _containers.RepeatedCompositeFieldContainer[PlannedStep]
    failures: _containers.RepeatedCompositeFieldContainer[_failure_pb2.Failure]
    answered_at_ms: int
    def __init__(self, cluster: _Optional[str] = ..., request_id: _Optional[str] = ..., app: _Optional[str] = ..., digest: _Optional[bytes] = ..., steps: _Optional[_Iterable[_Union[PlannedStep, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[_failure_pb2.Failure, _Mapping]]] = ..., answered_at_ms: _Optional[int] = ...) -> None: ...
